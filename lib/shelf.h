/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open shelf inside the library, and what its parts offer one another.
 *
 * Rules that all parts keep:
 *
 * - Volatile words that another process may look at are read and written with the
 *   accessors below, in the order in which a reader must see them.
 * - A process may die between any two instructions. What a writer is in the middle of
 *   stands in its slot first; takeover.c undoes or finishes it.
 * - Locks, from the outermost inwards: the read lock; the halt lock; the split lock; buckets; the
 *   order of names; a list of transactions that have been made; one ring's; the limbo lock or the
 *   run lock; one chunk's. Nobody waits for one while he holds one that is further in.
 * - Order of an update: record written back, fence, and only then the index; so no reader
 *   sees what the loss of power can undo.
 * - Offsets that come from the shelf are checked before they are followed, also those that this
 *   process has stored there: others may have stored there since. So each is loaded once, and
 *   what was checked is what is used.
 */
#ifndef LIB_SHELF_H
#define LIB_SHELF_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <hmem/shelf.h>

#include "ctx.h"
#include "shelf_format.h"
#include "shelf_persist.h"

struct hmem_shelf;

/* A word that is to be stored. */
struct redo_word {
	uint64_t *at;
	uint64_t value;
};

/* A record, its first word, and what that is when it is sealed. */
struct composed {
	uint64_t at;
	uint64_t word;
	uint64_t sealed;
};

/*
 * A slot and what only its process knows of it. Belongs to a thread until that ends,
 * then, if objects that it got are still in use, to the handle's other threads.
 *
 * @owner: the thread, while it is busy
 * @many_pins: memory for more pins than usual (limbo.c), or NULL
 * @large: the chunk at which its last large block ends: the next is looked for from there on
 * @dead: the slot's owner is, and somebody acts for him: @repairer
 * @last: the record composed last: so it can be sealed without a look at what has left the cache,
 *	or may belong to others by now
 * @tx: the transaction that the thread has begun, or NULL
 * @tx_kept: the memory of the one before, or NULL
 * @tx_spares: blocks in slot->tx_spare
 * @tx_held_last, @tx_held: bytes that the last transaction holds on to, and all that have ended
 * @redo, @nr_redo: what slot->redo says; that may be anybody's, and is for those who take over
 * @unnoted: where a lock is noted when somebody else has taken all places of the slot
 */
struct writer {
	struct hmem_shelf *shelf;
	struct slot *slot;
	unsigned int id;
	bool busy;
	bool idle;
	bool dead;
	pthread_t owner;
	struct persist persist;
	struct composed last;
	uint64_t large;
	uint64_t frontier_written;	/* on the media with its next fence, or 0 */
	struct hmem_tx *tx;
	struct hmem_tx *tx_kept;
	unsigned int tx_spares;
	uint64_t tx_held_last;
	uint64_t tx_held;
	struct redo_word redo[SLOT_REDO];
	unsigned int nr_redo;
	uint64_t unnoted;
	uint64_t *many_pins;
	pthread_t repairer;
	struct writer *next;
};

/*
 * @base: shelf offset 0; the whole of max_heap is reserved behind it
 * @key: of the shelf's UUID and secret, goes into every checksum
 * @heap_mapped: bytes of the heap that this process maps; only grows
 * @alive: on a page that a fork wipes: 0 in a child
 * @writer_key: a thread's struct writer
 * @lock: protects writers, repairs and mapping; recursive. Nobody waits for another process
 *	with it in hand
 * @table_lock: protects the lock on the rack, which is one for all threads of a handle
 * @broken: a part of it is gone, see sigbus.c; nothing of it is touched any more
 * @leaving, @closing: threads that are ending and at their writers; no more of them (fork.c)
 * @map_error: why the last attempt to map more failed, or 0
 * @repairs: the dead ones whose slots threads of this handle are putting in order
 */
struct hmem_shelf {
	struct hmem_ctx *ctx;
	struct hmem_region *region;
	char *name;
	unsigned int flags;
	int lock_fd;
	unsigned char *base;
	size_t reserved;
	uint8_t uuid[16];
	struct shelf_super us;		/* boot, host and lock that we would write there */
	uint64_t key;
	uint64_t heap_offset;
	uint64_t max_heap;
	uint32_t unit_shift;
	uint32_t nr_slots;
	uint32_t super_flags;
	unsigned int rack_entry;
	atomic_uint_fast64_t heap_mapped;
	uint64_t metadata_mapped;
	atomic_int map_error;
	atomic_bool broken;
	atomic_uint *alive;
	unsigned int wait_ms;
	uint64_t dirty_shutdowns;
	enum persist_kind persist_kind;
	uint64_t sync_failures;		/* of its region before it was opened */
	struct hmem_shelf *next_open;
	unsigned int leaving;
	bool closing;
	int (*found)(void *arg, const struct hmem_shelf_finding *finding);
	void *found_arg;

	pthread_key_t writer_key;
	pthread_mutex_t lock;
	pthread_mutex_t table_lock;
	struct writer *writers;
	atomic_uint idle;	/* of these; see thread_leave() */
	uint64_t fences;	/* of writers that are gone */
	struct writer *repairs;

	struct runtime *runtime;
	unsigned char *slots;
	struct chunk *chunks;
	/* Read-only, on a shelf that nobody has open for writing: */
	struct runtime *own_runtime;
	unsigned char *own_slots;
	uint64_t *own_checked;		/* buckets that have been, as bits */
	uint64_t own_checked_bits;
};

/* --- words --------------------------------------------------------------------------- */

#define LOAD(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
/*
 * After all that was stored before, to whoever looks on; and before all that is stored
 * later, to whoever takes over when the process dies in between.
 */
#define STORE(p, v)                                      \
	do {                                             \
		__atomic_store_n(p, v, __ATOMIC_RELEASE);\
		__atomic_signal_fence(__ATOMIC_SEQ_CST); \
	} while (0)

/*
 * Between these two a thread reads, without a lock or a pin, what may be freed and written
 * by others meanwhile, and finds out afterwards whether it was. ThreadSanitizer, which knows
 * no such thing, is told to look away from this thread; what others do goes on to be watched.
 */
#if defined(__SANITIZE_THREAD__) && !defined(HMEM_PERSIST_TRACE)
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#define RACY_READS_BEGIN() AnnotateIgnoreReadsBegin(__FILE__, __LINE__)
#define RACY_READS_END()   AnnotateIgnoreReadsEnd(__FILE__, __LINE__)
#else
#define RACY_READS_BEGIN() ((void)0)
#define RACY_READS_END()   ((void)0)
#endif

/* Not in a child that fork(2) made of the process that opened it. */
static inline bool shelf_is_mine(const struct hmem_shelf *shelf)
{
	return atomic_load_explicit(shelf->alive, memory_order_relaxed);
}

static inline void *shelf_at(const struct hmem_shelf *shelf, uint64_t offset)
{
	return shelf->base + offset;
}

/* Have what may be used soon brought into the cache; the offset may be anything. */
static inline void shelf_prefetch(const struct hmem_shelf *shelf, uint64_t offset)
{
	__builtin_prefetch((const void *)((uintptr_t)shelf->base + offset), 1);
}

static inline uint64_t shelf_offset(const struct hmem_shelf *shelf, const void *at)
{
	return (uint64_t)((const unsigned char *)at - shelf->base);
}

static inline struct slot *shelf_slot(const struct hmem_shelf *shelf, unsigned int id)
{
	return (struct slot *)(shelf->slots + (size_t)id * SLOT_BYTES);
}

/* --- slots and locks (slot.c) -------------------------------------------------------- */

/* The calling thread's writer. 0, -ECHILD, -EUSERS, -ENOMEM, ... */
int writer_begin(struct hmem_shelf *shelf, struct writer **writer);
/* The same for what changes something: also -EROFS. */
int updater_begin(struct hmem_shelf *shelf, struct writer **writer);
/* Is there nothing in it that its last owner would have to finish or give back? */
bool slot_is_empty(const struct slot *slot);
/* What pthreads call when a thread with a writer ends. */
void writer_thread_exit(void *writer);
/*
 * Give back the slots of threads that have ended and of which nothing is pinned or reserved any
 * more: to be called when something was released. 0.
 */
int writers_sweep(struct hmem_shelf *shelf);
/* Give all slots of this handle back. */
int writers_free(struct hmem_shelf *shelf);

/* Take a lock word (32 bits). 0, or -EBUSY when a live writer holds it for too long. */
int lock_take(struct writer *writer, uint32_t *lock);
/* Without waiting: false when somebody holds it. */
bool lock_try(struct writer *writer, uint32_t *lock);
void lock_drop(struct writer *writer, uint32_t *lock);
/* The same for the lock in a bucket's head. */
int bucket_take(struct writer *writer, struct bucket *bucket);
/* With the lock noted elsewhere than in the slot. */
int bucket_take_noted(struct writer *writer, struct bucket *bucket, uint64_t *note);
void bucket_drop(struct writer *writer, struct bucket *bucket);

void write_back(struct writer *writer, const void *at, size_t bytes);
/* The first granule of a block, if there can be one at @at. */
void block_write_back(struct writer *writer, uint64_t at);
int fence(struct writer *writer);

/*
 * What happens after an update's fence, as absolute stores: written down, then done, so
 * that whoever takes over from a dead writer can do them again.
 */
void redo_add(struct writer *writer, uint64_t *at, uint64_t value);
#define REDO_COUNT	0xffffu
#define REDO_IF_SHOWN	0x10000u
void redo_apply(struct writer *writer);
/*
 * The same, where the first word is what readers go by. Of a writer who dies before that is
 * stored nothing is applied: what they have found not to be must not come to be later.
 */
void redo_show(struct writer *writer);
/* For a dead writer: what had not been applied yet. False: it is not what a writer can have left. */
bool redo_again(struct writer *writer);

/* The byte that says whether the slot's owner lives. */
int slot_byte(const struct hmem_shelf *shelf, unsigned int id);
/* The one beside it: whoever takes that byte has this one as well until he owns the slot. */
int repair_byte(const struct hmem_shelf *shelf, unsigned int id);
/* Take both. Without waiting: 0, -EAGAIN when somebody has one, or what the system answered. */
int slot_bytes_lock(struct hmem_shelf *shelf, unsigned int id);
void slot_bytes_unlock(struct hmem_shelf *shelf, unsigned int id);
void writer_init(struct writer *writer, struct hmem_shelf *shelf, unsigned int id);
/* Take a lock that is not held out of slot->locks. */
void lock_forget(struct writer *writer, uint64_t what);

/* --- dead writers (takeover.c) ------------------------------------------------------- */

/* In slot->locks: this lock is the upper half of a bucket's head. */
#define LOCK_IN_BUCKET 1u

/* Can it be the offset of a word, of a block, that stands in a slot? They are mapped then. */
bool slot_word_sane(struct hmem_shelf *shelf, uint64_t at);
bool slot_block_sane(struct hmem_shelf *shelf, uint64_t at);
/* Is a lock that is noted held by this writer? */
bool slot_lock_held(const struct writer *writer, uint64_t what);

/* Is a slot in use by a thread of this handle, or by one that acts for a dead owner? */
bool own_writer(struct hmem_shelf *shelf, unsigned int id);
/*
 * Is it the owner who holds its byte, and not somebody who puts in order what he left? That he
 * does not may be wrong while others look after the slot; that he does is not.
 */
bool owner_lives(struct hmem_shelf *shelf, unsigned int id);
/*
 * Finish or undo what a dead writer was doing, so that nothing is locked any more; and free
 * its slot, if @writer (NULL: nobody) holds no lock that this may have to wait for. 0,
 * -EAGAIN: somebody else is at it; or why it cannot be done.
 */
int takeover(struct hmem_shelf *shelf, struct writer *writer, unsigned int id);
/* Look after every slot whose owner is gone, and that nobody else looks after. */
int takeover_all(struct hmem_shelf *shelf, struct writer *writer);
/*
 * Until nothing that the dead were doing is seen half done, whoever undoes it. What memory of
 * theirs has still to be given back is not waited for, nor what cannot be put in order. 0, or
 * -EBUSY after wait_ms.
 */
int takeover_await(struct hmem_shelf *shelf);
/* Leave the slot as a new owner needs it: both steps, by its owner or for him. */
int slot_retire(struct writer *writer);

/* --- heap (heap.c) ------------------------------------------------------------------- */

/*
 * A block for a record with @bytes behind its header. It is slot->fresh until a redo of
 * its new owner clears that.
 *
 * Return: 0, -ENOSPC, -EBUSY.
 */
int heap_take(struct writer *writer, uint64_t bytes, unsigned int align_shift, uint64_t *at);
/*
 * The same for what is to be no record yet. There may be one at @at, of a block that ends at
 * @end, after this writer's next fence, or, if heap_cover() answers true, already before.
 */
int heap_take_bare(struct writer *writer, uint64_t bytes, unsigned int align_shift, uint64_t *at);
bool heap_cover(struct writer *writer, uint64_t at, uint64_t end);
/* Give back slot->fresh, which nothing refers to and which is no record. */
int heap_drop_fresh(struct writer *writer);
/* Give back a block. */
int heap_give(struct writer *writer, uint64_t at, uint64_t granules);
/* The same in two steps: write down that it is being given back, then do it. */
int heap_give_begin(struct writer *writer, uint64_t at, uint64_t granules);
/*
 * Give back the block that the word @from names, and have that word be @to then, both or
 * neither.
 */
int heap_give_from(struct writer *writer, uint64_t *from, uint64_t granules, uint64_t to);
/* Go on with what slot->freeing says. */
int heap_give_again(struct writer *writer);
/* A chunk's lock was held by a dead writer: undo or finish what it did there. */
void heap_repair(struct writer *writer, uint64_t chunk);
/* For recovery: mark a block as used. -EUCLEAN when it was already. */
int heap_mark(struct hmem_shelf *shelf, uint64_t at, uint64_t granules);
uint64_t heap_free_granules(const struct hmem_shelf *shelf);
/* The frontier as it is on the media: chunks that recovery has to look at. */
uint64_t heap_durable_frontier(const struct hmem_shelf *shelf, uint64_t chunks);
/* Is the word on the media intact? */
bool heap_frontier_good(const struct hmem_shelf *shelf);
/* Of a new shelf: none; durable with the next fence. */
void heap_reset_frontier(struct hmem_shelf *shelf, struct persist *persist);
/* Durable with the writer's next fence, or higher already. */
void heap_raise_frontier(struct writer *writer, uint64_t frontier);
/* That fence was made. */
void heap_frontier_durable(struct writer *writer);
/* Make chunks below @frontier usable. */
int heap_raise(struct writer *writer, uint64_t frontier);

/* --- retired blocks (limbo.c) -------------------------------------------------------- */

/* Make sure that the ring has room for @blocks more. May free memory, may make a fence. */
int limbo_room(struct writer *writer, unsigned int blocks);
/* Add to the redo words: @at has been replaced or deleted. */
void limbo_redo(struct writer *writer, const uint64_t *at, unsigned int nr);
/*
 * Erase what was put in the ring since, durable with the next fence. That writes it back: locks
 * taken in between would have to wait for a write-back that had begun.
 */
void limbo_erase(struct writer *writer);
/* Free what can be freed. @all: also what was passed over because it was pinned. */
int limbo_reclaim(struct writer *writer, bool all);
/*
 * Blocks outside of the ring, whose erasure is durable: free those that @words name, or have
 * them wait while they are pinned. The words become 0.
 */
int limbo_retire(struct writer *writer, uint64_t *const *words, unsigned int nr);
/* The same for what others hold that do nothing at present, as far as nobody has pinned it. */
int limbo_reclaim_others(struct writer *writer);
/* Write back what @slot's owner has erased since his last fence. False: not all of it is mapped. */
bool limbo_write_back(struct writer *writer, struct slot *slot);
/* After a death under limbo_lock, or under a ring's lock: nothing stands in two lists. */
void limbo_repair(struct writer *writer);
void limbo_ring_repair(struct writer *writer, uint64_t id);
/* Whose thread has pinned the most of what is retired, and how much. For messages. */
int limbo_holder(struct hmem_shelf *shelf, uint64_t *bytes);
/* Leave nothing in the ring: what is pinned goes where others look after it. */
int limbo_empty(struct writer *writer);

/* --- objects (object.c) -------------------------------------------------------------- */

/*
 * Which record a name has. @pin: where to pin it, or NULL: then it may be reused while the
 * caller looks at it. 1, 0 (none) or -EUCLEAN.
 */
int object_find(struct hmem_shelf *shelf, const char *name, size_t name_bytes, uint64_t *pin,
		uint64_t *at);

/*
 * For calls that give out objects: the calling thread's writer, -EROFS on a handle that pins
 * nothing; and a pin that is free, or -EMFILE.
 */
int object_pinner(struct hmem_shelf *shelf, struct writer **writer);
int object_pin_begin(struct writer *writer, uint64_t **pin);
/* Tell the caller of the record at @at, which is pinned. */
void object_show(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
		 uint64_t *pin, struct hmem_object *object);
/*
 * A copy without a pin, into @buffer if it has room for all of it. The name must lead to the
 * record when its header has been read, so that this is what the record's writer
 * finished; and still to the same, of the same sequence number, when all of it has been copied.
 */
int object_copy(struct hmem_shelf *shelf, const char *name, size_t name_bytes, void *buffer,
		size_t bytes, uint64_t *at, struct record *header);
/* -EUCLEAN, and says so. */
int object_damaged(struct hmem_shelf *shelf, const char *name);

/* hmem_object.pin: where the pin is, and whether the object may be changed in place. */
#define PIN_EDIT 1u
static inline uint64_t *object_pin(const struct hmem_object *object)
{
	return (uint64_t *)((char *)object->pin - ((uintptr_t)object->pin & PIN_EDIT));
}
/* The record of an object that was got through this handle; -EINVAL when it was not. */
int object_pinned(struct hmem_shelf *shelf, const struct hmem_object *object, uint64_t *at,
		  struct record *header);

/* Seal the writer's last record, durable with the next fence. */
void writer_seal(struct writer *writer);
/* --- objects that are filled in place (fill.c) ---------------------------------------- */

/* Is it a block that was handed out to be filled, and nobody has damaged its header? */
bool reservation_good(const struct hmem_shelf *shelf, uint64_t at, struct record *header);
/* Give back all blocks that were handed out to be filled. */
int reservations_drop(struct writer *writer);

/* --- index (index.c) ----------------------------------------------------------------- */

uint64_t name_hash(const struct hmem_shelf *shelf, const char *name, size_t bytes);

static inline uint64_t entry_offset(uint64_t entry)
{
	return (entry & ((1ull << ENTRY_OFFSET_BITS) - 1)) << SHELF_GRANULE_SHIFT;
}

static inline uint64_t entry_tag(uint64_t hash)
{
	return hash >> INDEX_FIRST_SHIFT << ENTRY_OFFSET_BITS;
}

static inline uint64_t entry_make(uint64_t hash, uint64_t at)
{
	return entry_tag(hash) | at >> SHELF_GRANULE_SHIFT;
}

/* The bucket of a hash; NULL when the index is damaged. */
struct bucket *index_bucket(const struct hmem_shelf *shelf, uint64_t hash, uint64_t *number);
/* Have the bucket of a hash brought into the cache. */
void index_prefetch(const struct hmem_shelf *shelf, uint64_t hash);
struct bucket *index_at(const struct hmem_shelf *shelf, uint64_t number);
/* Of @nr buckets, how many bits of the hash are those of bucket @number? */
unsigned int index_bits(uint64_t number, uint64_t nr);
/* No bucket has more overflow: a chain that does leads back to itself. */
#define INDEX_LINKS_MAX (1u << 16)

/* The overflow bucket, or NULL. */
struct bucket *index_next(const struct hmem_shelf *shelf, const struct bucket *bucket);
/*
 * The same, *@left times at most: also a chain ends that somebody who may write bends into a circle
 * while it is followed.
 */
struct bucket *index_follow(const struct hmem_shelf *shelf, const struct bucket *bucket,
			    unsigned int *left);

/*
 * Find a name in the bucket that the caller has locked: the entry or NULL; and where a
 * new one could go, or NULL when the chain is full.
 */
uint64_t *index_find(const struct hmem_shelf *shelf, struct bucket *bucket, uint64_t hash,
		     const char *name, size_t bytes, uint64_t **room);

/*
 * Lock the bucket of a hash, whichever that is while others split. Waits for whoever halts
 * updates. A writer who locks several buckets takes them under the split lock instead.
 */
int index_lock(struct writer *writer, uint64_t hash, struct bucket **bucket);
/* Make room for an entry in a locked bucket whose chain is full. */
int index_extend(struct writer *writer, struct bucket *bucket, uint64_t **room);
/* Split the next bucket in turn. No bucket is locked by the caller. */
int index_split(struct writer *writer);
/* How many buckets an index for about @objects has. */
uint64_t index_buckets_for(uint64_t objects);
/* Make an empty index; nobody else is there. */
int index_create(struct writer *writer, uint64_t buckets);
/* Give all of it back, however far it got; nobody else is there. */
int index_discard(struct writer *writer);
/* Undo or finish a split that somebody, maybe dead by now, could not go on with. */
void index_settle_split(struct writer *writer);

bool name_is(const struct hmem_shelf *shelf, uint64_t at, const char *name, size_t bytes);

/* --- clean shelves (clean.c) --------------------------------------------------------- */

/*
 * Bucket @number, the first of a chain, is sealed: check the chain and the headers of the
 * records it leads to, and make it usable. False, and nobody updates the shelf any more,
 * when something is damaged.
 */
bool bucket_unseal(struct hmem_shelf *shelf, struct bucket *first, uint64_t number);
/* The same for a chunk whose lock is held, or that nobody else can use. */
bool chunk_unseal(struct hmem_shelf *shelf, uint64_t number);
static inline bool chunk_usable(struct hmem_shelf *shelf, uint64_t number)
{
	return __builtin_expect(!shelf->chunks[number].sealed, 1) || chunk_unseal(shelf, number);
}

/* Something volatile is damaged: nobody updates the shelf, and the next to open recovers. */
int shelf_damaged(struct hmem_shelf *shelf);

/*
 * All writers are gone: write all that is volatile back and describe it. -EUCLEAN when it
 * is not in the state that a shelf may be left in. @again: somebody has begun with that and not
 * come to its end, so that what is sealed need not be on the media.
 */
int clean_leave(struct hmem_shelf *shelf, struct persist *persist, struct shelf_summary *summary,
		bool again);
/* Fill in a runtime, of zeroes, from a summary. -EUCLEAN when it cannot be one. */
int clean_adopt(struct hmem_shelf *shelf, struct runtime *runtime,
		const struct shelf_summary *summary);

/* --- recovery (recover.c) ------------------------------------------------------------ */

struct recovery {
	uint64_t records;
	uint64_t objects;
	uint64_t types;
	uint64_t torn;
	uint64_t damaged;
	uint64_t superseded;
};

/* Tell whoever opens the shelf what is wrong with it. */
void shelf_found(const struct hmem_shelf *shelf, const char *part, uint64_t at, const char *name,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Rebuild all volatile structures from the records. Nobody else has the shelf open. */
int shelf_recover(struct hmem_shelf *shelf, struct recovery *result);

/* --- locks and forks (fork.c) -------------------------------------------------------- */

/* Open shelf->lock_fd, which a child of fork(2) will not have. */
int shelf_lock_open(struct hmem_shelf *shelf);
void shelf_lock_close(struct hmem_shelf *shelf);
/*
 * The calling thread ends, and had a writer at @writer: the shelf, which is not closed until
 * shelf_thread_left(). NULL when it is being closed, has been, or is the parent's.
 */
struct hmem_shelf *shelf_thread_leaving(const struct writer *writer);
void shelf_thread_left(struct hmem_shelf *shelf);
/* From now on none of its threads leaves by itself, and none is at it. */
void shelf_await_threads(struct hmem_shelf *shelf);

/* --- mapping (map.c) ----------------------------------------------------------------- */

/*
 * Map what the heap has got in the meantime, and the maps of its chunks, if offsets up to
 * @end are to be used. Waits for no other process. -EUCLEAN: there is no such offset.
 */
int shelf_map_more(struct hmem_shelf *shelf, uint64_t end);

/* How long to wait for others who live, unless the caller says otherwise. */
#define SHELF_WAIT_MS 10000u

/* --- opening (shelf.c) --------------------------------------------------------------- */

enum persist_kind shelf_persist_kind(struct hmem_ctx *ctx, unsigned int caps, unsigned int flags);
void shelf_persist_init(const struct hmem_shelf *shelf, struct persist *persist);

/*
 * Of that many chunks those that this process maps, with what describes them: others may
 * have given the shelf more, and used it, since we looked; and the runtime may be damaged.
 */
uint64_t shelf_chunks_mapped(const struct hmem_shelf *shelf, uint64_t chunks);

static inline uint64_t shelf_chunks_here(const struct hmem_shelf *shelf, uint64_t chunks)
{
	uint64_t mapped = atomic_load_explicit(&shelf->heap_mapped, memory_order_acquire);

	return __builtin_expect(chunks <= mapped >> SHELF_CHUNK_SHIFT, 1) ?
		       chunks :
		       shelf_chunks_mapped(shelf, chunks);
}

/* Chunks that there are, and those of them that were ever used. */
static inline uint64_t shelf_chunks(const struct hmem_shelf *shelf)
{
	return shelf_chunks_here(shelf, LOAD(&shelf->runtime->heap_chunks));
}

static inline uint64_t shelf_frontier(const struct hmem_shelf *shelf)
{
	return shelf_chunks_here(shelf, LOAD(&shelf->runtime->frontier));
}

/* A reader that was here before any writer sees what writers do from now on (join.c). */
void shelf_follow(struct hmem_shelf *shelf);
static inline void shelf_follow_writers(struct hmem_shelf *shelf)
{
	if (__builtin_expect(shelf->own_runtime != NULL, 0))
		shelf_follow(shelf);
}
/*
 * Has it come to see them since its runtime was @was? What a reader looked up meanwhile in the index,
 * which they change, and compared with counts that they do not raise, is to be looked up again.
 */
static inline bool shelf_follows_since(struct hmem_shelf *shelf, const struct runtime *was)
{
	shelf_follow_writers(shelf);
	return __builtin_expect(LOAD(&shelf->runtime) != was, 0);
}

static inline bool shelf_in_heap(const struct hmem_shelf *shelf, uint64_t at)
{
	return at >= shelf->heap_offset &&
	       at - shelf->heap_offset < atomic_load_explicit(&shelf->heap_mapped,
							      memory_order_acquire);
}

/* All of [@at, @at + @bytes) is mapped. */
static inline bool shelf_holds(const struct hmem_shelf *shelf, uint64_t at, uint64_t bytes)
{
	uint64_t mapped = atomic_load_explicit(&shelf->heap_mapped, memory_order_acquire);

	return at >= shelf->heap_offset && bytes <= mapped &&
	       at - shelf->heap_offset <= mapped - bytes;
}

/* The same, mapping what the heap has got in the meantime. */
static inline bool shelf_reach_bytes(const struct hmem_shelf *shelf, uint64_t at, uint64_t bytes)
{
	return shelf_holds(shelf, at, bytes) ||
	       (at < ~0ull - bytes && !shelf_map_more((struct hmem_shelf *)shelf, at + bytes) &&
		shelf_holds(shelf, at, bytes));
}

/* The same for a record's header. */
static inline bool shelf_reach(const struct hmem_shelf *shelf, uint64_t at)
{
	return shelf_reach_bytes(shelf, at, sizeof(struct record));
}

/* A word in the heap; a block there, which has room for a record's header. */
static inline bool shelf_reach_word(const struct hmem_shelf *shelf, uint64_t at)
{
	return !(at & (sizeof(uint64_t) - 1)) && shelf_reach_bytes(shelf, at, sizeof(uint64_t));
}

static inline bool shelf_reach_block(const struct hmem_shelf *shelf, uint64_t at)
{
	return !(at & (SHELF_GRANULE - 1)) && shelf_reach(shelf, at);
}

/* More blocks than there can be: a list of as many is a circle. */
static inline uint64_t shelf_most_blocks(const struct hmem_shelf *shelf)
{
	return atomic_load_explicit(&shelf->heap_mapped, memory_order_relaxed) >>
	       SHELF_GRANULE_SHIFT;
}

#define shelf_fail(shelf, error, ...) hmem_fail((shelf)->ctx, error, __VA_ARGS__)

/* What a record's link says while the writer @id changes its value. */
static inline uint64_t link_owned_by(const struct hmem_shelf *shelf, unsigned int id)
{
	return LINK_OWNED | LINK_MAKE((uint64_t)LOAD(&shelf->runtime->session)
					      << SHELF_GRANULE_SHIFT, id, 0);
}

static inline bool link_is_owned(const struct hmem_shelf *shelf, uint64_t link)
{
	return link & LINK_OWNED &&
	       link == link_owned_by(shelf, (unsigned int)LINK_SLOT(link));
}

#endif
