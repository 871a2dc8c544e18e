/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transactions: any number of objects changed at once, or none of them.
 *
 *	hmem_tx_begin(shelf, &tx);
 *	hmem_tx_put(tx, "ada", data, bytes, NULL);
 *	hmem_tx_delete(tx, "charles");
 *	hmem_tx_commit(tx);
 *
 * After a loss of power, and after the death of the process at any instant, all of a
 * transaction has happened or nothing of it. Once hmem_tx_commit() has returned 0 all of it is
 * durable.
 *
 * Atomic, not isolated for in-place readers. Reads, also of the thread that has begun a
 * transaction, see what has been committed. Each object that is got is of one version; two
 * of them that are got one after the other may be of before a commit and of after it. What is
 * changed in place they see at once; and when its process dies, until that is undone: by the next
 * who wants to change one of these objects, or opens the shelf for writing.
 *
 * What others do to the same names between hmem_tx_put() and hmem_tx_commit() is
 * replaced by the commit, unless HMEM_PUT_CREATE or HMEM_PUT_REPLACE forbid it: what these say is
 * checked when it is committed, while all of the transaction's names are locked.
 *
 * A transaction belongs to the thread that began it. It ends with hmem_tx_commit(), whatever
 * that returns, hmem_tx_abort(), the end of the thread, or hmem_shelf_close(); the
 * handle is invalid then. Until then it takes memory of the shelf for what it is to put, and
 * keeps nobody from anything but changing the objects that it changes in place or writes to:
 * hmem_shelf_put(), hmem_shelf_delete() and others of these fail with -EBUSY, or with -EDEADLK in
 * its own thread. Only hmem_shelf_edit() works there: what is stored through that is not the
 * transaction's, but is undone with it where it lies in a range that was added.
 */
#ifndef HMEM_TX_H
#define HMEM_TX_H

#include <stddef.h>

#include <hmem/shelf.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmem_tx;

/**
 * hmem_tx_begin - begin a transaction
 * @tx: where to put the handle; written only on success
 *
 * Each thread has at most one at a time on a shelf. Cost: no fence.
 *
 * Return: 0; -EALREADY (this thread has begun one), -EINVAL, -EROFS, -EUSERS, -ENOMEM, -ECHILD,
 * -EUCLEAN.
 */
HMEM_API int hmem_tx_begin(struct hmem_shelf *shelf, struct hmem_tx **tx);

/**
 * hmem_tx_put - create or replace an object when the transaction is committed
 * @data: copied; the caller may change it afterwards
 * @options: as for hmem_shelf_put(); NULL for none. What its flags ask for is checked at
 *	once where the transaction itself has put or deleted the name, otherwise when it is
 *	committed.
 *
 * When it fails the transaction is what it was before. The last call for a name counts.
 * Cost: no fence; the object's memory is taken at once.
 *
 * Return: 0; -EINVAL (also: another thread began the transaction), -ENAMETOOLONG, -EEXIST,
 * -ENOENT, -ENOSPC, -E2BIG (more than 2^30 names, or as hmem_shelf_put()), -EBUSY, -EROFS, -EIO,
 * -ENOMEM, -EUSERS, -ECHILD, -EUCLEAN, -EOVERFLOW (as hmem_shelf_put()).
 */
HMEM_API int hmem_tx_put(struct hmem_tx *tx, const char *name, const void *data, size_t bytes,
			 const struct hmem_put_options *options);

/**
 * hmem_tx_delete - delete an object when the transaction is committed
 *
 * One that is not there then fails the commit; one that the transaction has put
 * itself is not put. Cost: no fence.
 *
 * Return: 0; -ENOENT (the transaction has deleted it already), and as hmem_tx_put().
 */
HMEM_API int hmem_tx_delete(struct hmem_tx *tx, const char *name);

/**
 * struct hmem_range - a part of an object that was got
 * @object: by hmem_shelf_get() or hmem_shelf_edit(), and not released
 * @offset: from the beginning of its data
 * @bytes: length
 */
struct hmem_range {
	const struct hmem_object *object;
	size_t offset;
	size_t bytes;
};

/**
 * hmem_tx_add - announce that parts of objects will be changed in place
 * @ranges: @nr of them, of any objects; the same more than once is legal
 *
 * When it has returned 0 the caller may store into the ranges, until hmem_tx_commit() or
 * hmem_tx_abort(). If the transaction does not happen, whatever the reason, they are what
 * they were. What is stored outside of them is undone by nobody.
 *
 * The objects are the transaction's until it ends: others who put or delete their names, or
 * add ranges of them, get -EBUSY, and this thread -EDEADLK unless it puts or deletes
 * within the transaction. They may be released before it ends.
 *
 * When it fails nothing may be stored, but objects that come before the one that is the
 * reason may be the transaction's. Cost: one fence, however many ranges; memory for what they
 * hold.
 *
 * Return: 0; -EBUSY (another transaction has one of the objects), -ENOENT (one was replaced or
 * deleted since it was got), -EINVAL (no object of this shelf, or a range that ends behind
 * it), -E2BIG (more than the shelf can ever hold), -ENOSPC, -EROFS, -EIO, -ENOMEM, -EUSERS,
 * -ECHILD, -EUCLEAN, -EOVERFLOW (as hmem_shelf_put()).
 */
HMEM_API int hmem_tx_add(struct hmem_tx *tx, const struct hmem_range *ranges, size_t nr);

/**
 * hmem_tx_write - change a part of an object when the transaction is committed
 * @object: by hmem_shelf_get() or hmem_shelf_edit(), and not released
 * @offset: from the beginning of its data
 * @data, @bytes: what is to be there; copied, the caller may change it afterwards
 *
 * Until it is committed nobody sees it, this thread neither. Then it is stored in the order of
 * the calls, after what has been stored in ranges that were added. As with hmem_tx_add() the
 * object is the transaction's until that ends; it may be released before. Of an object whose
 * name the transaction also puts or deletes nothing is written.
 *
 * When it fails the transaction is what it was before, but the object may be its. Cost: no
 * fence; @bytes and 40 more of memory of the process until it ends, and of the shelf from when
 * it is committed.
 *
 * Return: 0; -EBUSY (another transaction has the object), -ENOENT (it was replaced or
 * deleted since it was got), -EINVAL (no object of this shelf, or a range that ends behind
 * it), -E2BIG (more than the shelf can ever hold), -ENOMEM, -ENOSPC, -EROFS, -EUSERS, -ECHILD,
 * -EUCLEAN.
 */
HMEM_API int hmem_tx_write(struct hmem_tx *tx, const struct hmem_object *object, size_t offset,
			   const void *data, size_t bytes);

/**
 * hmem_tx_commit - make a transaction happen, and end it
 *
 * All of it, and then it is durable; on any error but -EIO nothing of it. Others see its
 * objects change one after the other, each from what it was to what was put; what is written to
 * objects they see change under them, while it is stored. One that writes to objects waits for an
 * export of the shelf until that has read all values once; -EBUSY if it does not go on.
 *
 * Cost: one fence, however many objects there are and however much is written; none when there
 * is nothing to do; two when ranges were added. Memory of the shelf, besides what is put: until it ends
 * 528 bytes in a piece for each six names and objects, of which a thread keeps up to eight for its next
 * ones; and for the commit, in a piece as well, 24 bytes a name and what is written with 40 bytes each.
 * What it has replaced is free a few transactions later, or when the shelf needs it, whoever asks.
 *
 * Return: 0; -EEXIST, -ENOENT (what a put or delete asks for), -ENOSPC, -EBUSY, -EROFS, -EIO (it
 * has happened or not: unknown), -ENOMEM, -EUSERS, -EUCLEAN, -EOVERFLOW (as hmem_shelf_put()). With -EINVAL (NULL, or begun by
 * another thread) and -ECHILD it has not ended.
 */
HMEM_API int hmem_tx_commit(struct hmem_tx *tx);

/**
 * hmem_tx_abort - end a transaction of which nothing is to happen; NULL is legal
 *
 * In a child of fork(2) the handle is freed and nothing else happens. Cost: no fence; two when
 * ranges were added.
 *
 * Return: 0; -EINVAL (another thread began it: it has not ended), -EIO (ranges that were added are
 * what they were only after the shelf has been opened again), or why not all of its memory could
 * be given back yet, which happens later.
 */
HMEM_API int hmem_tx_abort(struct hmem_tx *tx);

#ifdef __cplusplus
}
#endif
#endif
