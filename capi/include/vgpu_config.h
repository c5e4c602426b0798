/*
 * libvgpu_config: the vGPU settings of XCP-ng's VMs, for C programs in dom0. Link with -lvgpu_config.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 * Made from capi/src by cbindgen: edit the comments there.
 *
 * Every function may be called by any thread, but a handle is used by one thread at a time: see vgpu_db_init(). Every
 * pointer may be NULL: where it must not be, the function returns VGPU_INVALID_PARAM. What a function returns in memory is
 * the caller's own structure or buffer, so there is nothing to free but the handle. Functions with a handle also return
 * VGPU_INVALID_HANDLE (it is closed), VGPU_IN_USE and VGPU_FORKED, and keep their message for vgpu_last_message().
 *
 * The library leaves the process's signals, locale, umask, standard streams, threads and log alone.
 */

#ifndef VGPU_CONFIG_H
#define VGPU_CONFIG_H

#include <stddef.h>
#include <stdint.h>

/**
 * Done.
 */
#define VGPU_OK 0

/**
 * The callback has stopped the function. Not an error.
 */
#define VGPU_STOPPED 1

/**
 * Another error, or one of the library itself: see the message.
 */
#define VGPU_ERROR -1

/**
 * The VM is not registered, or no registered VM has this number.
 */
#define VGPU_NOT_FOUND -2

/**
 * An argument is not valid: the message says which, and what was expected.
 */
#define VGPU_INVALID_PARAM -3

/**
 * The database cannot be opened, read or written, or is damaged, locked or too new.
 */
#define VGPU_DB_ERROR -4

/**
 * The VM is registered already, or another VM has this number.
 */
#define VGPU_ALREADY_EXISTS -5

/**
 * XAPI does not know the VM.
 */
#define VGPU_UNKNOWN_VM -6

/**
 * XAPI refused, or is away and was needed.
 */
#define VGPU_XAPI_ERROR -7

/**
 * Another program is changing the same VM: try again.
 */
#define VGPU_BUSY -8

/**
 * The settings file /etc/vgpu/vgpu.toml is not valid.
 */
#define VGPU_SETTINGS_ERROR -9

/**
 * A file other than the database cannot be used.
 */
#define VGPU_FILE_ERROR -10

/**
 * The VM's device-model-args would be too long for the VM to start.
 */
#define VGPU_ARGS_TOO_LONG -11

/**
 * The VM's device-model-args cannot be understood, so nothing can be added to them.
 */
#define VGPU_ARGS_UNCLEAR -12

/**
 * A newer version of vgpu-config has written the VM's settings on another host.
 */
#define VGPU_NEWER_FORMAT -13

/**
 * The handle is for reading only.
 */
#define VGPU_READ_ONLY -14

/**
 * The handle is closed, or was never one.
 */
#define VGPU_INVALID_HANDLE -15

/**
 * Another thread is using the handle, or the callback of a function that was called with it.
 */
#define VGPU_IN_USE -16

/**
 * The handle was opened before fork(): open one in this process.
 */
#define VGPU_FORKED -17

/**
 * The caller's buffer or structure is too small for the answer.
 */
#define VGPU_BUFFER_TOO_SMALL -18

/**
 * The GPU pool has as many VMs as it may have.
 */
#define VGPU_POOL_FULL -19

/**
 * Low priority.
 */
#define VGPU_PRIORITY_LOW 0

/**
 * Medium priority.
 */
#define VGPU_PRIORITY_MEDIUM 1

/**
 * High priority.
 */
#define VGPU_PRIORITY_HIGH 2

/**
 * Instead of a GPU pool. For a new VM: the default of the settings file. For a change: as it is. For a list: any.
 */
#define VGPU_UNSET_POOL 0

/**
 * Instead of a priority: as VGPU_UNSET_POOL.
 */
#define VGPU_UNSET_PRIORITY -1

/**
 * Instead of a device's vm_id. For a new VM: derived from its UUID. For a change: as it is.
 */
#define VGPU_UNSET_VM_ID 0

/**
 * A flag of vgpu_db_init(): changes are refused, and the database is neither created nor migrated.
 */
#define VGPU_OPEN_READ_ONLY 1

/**
 * A flag of vgpu_db_init(): XAPI is not asked. Reads give what this host's database has, which is what its VMs start with; changes
 * are written to the database alone, and to XAPI by the VM's next start or change, or by vgpu-admin sync.
 */
#define VGPU_OPEN_DATABASE_ONLY 2

/**
 * Instead of a limit: the GPU pool may have any number of VMs.
 */
#define VGPU_NO_LIMIT -1

/**
 * A flag of vgpu_register_vm(): also if XAPI does not know the VM.
 */
#define VGPU_FORCE 1

/**
 * XAPI's record of the VM was changed.
 */
#define VGPU_XAPI_WRITTEN 1

/**
 * XAPI's record of the VM was right already.
 */
#define VGPU_XAPI_ALREADY_RIGHT 2

/**
 * XAPI does not know the VM.
 */
#define VGPU_XAPI_UNKNOWN_VM 3

/**
 * XAPI is away or was not asked: only the database was changed. XAPI is told at the VM's next start or change, or by
 * vgpu-admin sync.
 */
#define VGPU_XAPI_AWAY 4

/**
 * Nothing changes for the VM, or it is a template, which is never started.
 */
#define VGPU_TAKES_EFFECT_NEVER 0

/**
 * At the VM's next start.
 */
#define VGPU_TAKES_EFFECT_AT_NEXT_START 1

/**
 * The VM runs: at its next start or reboot.
 */
#define VGPU_TAKES_EFFECT_AT_NEXT_START_OR_REBOOT 2

/**
 * An open database. Its content is the library's.
 */
struct vgpu_db;

/**
 * Called by vgpu_db_check() for each thing that was checked.
 *
 * name, message: what was checked, and what was found; valid until the callback returns.
 * ok: 1 if it is right, otherwise 0: then the message says what to do.
 * context: as passed to vgpu_db_check().
 *
 * Returns 0 to go on, anything else to stop. What is said of vgpu_vm_callback is true here too.
 */
typedef int (*vgpu_check_callback)(const char *name, int ok, const char *message, void *context);

/**
 * A registered VM.
 *
 * Set size to sizeof(struct vgpu_vm_config) before each call that fills one. A library that is older than the caller's header
 * fills the fields that it knows, and sets the others to 0. Texts end with a zero byte; times are UTC.
 */
struct vgpu_vm_config {
  /**
   * The size of the structure, set by the caller.
   */
  size_t size;
  /**
   * Counts the changes of the settings.
   */
  int64_t revision;
  /**
   * The length of the VM's name in bytes, also if vm_name has only its beginning.
   */
  size_t vm_name_length;
  /**
   * The device's number for the VM: vm_id on QEMU's command line.
   */
  uint32_t device_vm_id;
  /**
   * VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM or VGPU_PRIORITY_HIGH.
   */
  int32_t priority;
  /**
   * 1 if XAPI knows the VM and has the last change, otherwise 0.
   */
  int32_t in_xapi;
  /**
   * 1 if the VM was started on this host, otherwise 0.
   */
  int32_t was_started;
  /**
   * 1 if its last start had the settings above, otherwise 0: they take effect at the next start.
   */
  int32_t start_is_current;
  /**
   * The priority of the last start, or VGPU_UNSET_PRIORITY.
   */
  int32_t started_priority;
  /**
   * The GPU pool of the last start, or VGPU_UNSET_POOL.
   */
  char started_pool_id;
  /**
   * The GPU pool: 'A' or 'B'.
   */
  char pool_id;
  /**
   * In lower case.
   */
  char vm_uuid[37];
  /**
   * When the VM was registered.
   */
  char created_at[20];
  /**
   * When its settings were last changed.
   */
  char updated_at[20];
  /**
   * Empty, or if XAPI did not answer: when this host last had the settings of all hosts, or "unknown".
   */
  char as_of[20];
  /**
   * The name, UTF-8. Only the beginning of a longer one: see vgpu_get_vm_name().
   */
  char vm_name[256];
  /**
   * 0.
   */
  uint8_t reserved[5];
};

/**
 * Called by vgpu_list_vms() for each VM.
 *
 * vm: valid until the callback returns. vm->size says how many bytes the library has filled: fewer than the caller's header
 * knows, if the library is older.
 * context: as passed to vgpu_list_vms().
 *
 * Returns 0 to go on, anything else to stop. It must return: no longjmp() and no C++ exception may leave it. The database is
 * not locked meanwhile. Calls with the handle that lists return VGPU_IN_USE; other handles can be used.
 */
typedef int (*vgpu_vm_callback)(const struct vgpu_vm_config *vm, void *context);

/**
 * A GPU pool.
 *
 * Set size to sizeof(struct vgpu_pool) before each call that fills one, as for struct vgpu_vm_config.
 */
struct vgpu_pool {
  /**
   * The size of the structure, set by the caller.
   */
  size_t size;
  /**
   * How many VMs it may have, or VGPU_NO_LIMIT.
   */
  int64_t max_vms;
  /**
   * How many registered VMs it has: more than max_vms if the limit was lowered.
   */
  uint64_t vms;
  /**
   * Those with high priority.
   */
  uint64_t high;
  /**
   * Those with medium priority.
   */
  uint64_t medium;
  /**
   * Those with low priority.
   */
  uint64_t low;
  /**
   * How many GPUs serve it, on all hosts.
   */
  uint64_t gpus;
  /**
   * 'A' or 'B'.
   */
  char pool_id;
  /**
   * Empty, or if XAPI did not answer: when this host last had the settings of all hosts, or "unknown".
   */
  char as_of[20];
  /**
   * The name, UTF-8; empty if it has none.
   */
  char name[257];
  /**
   * The description, UTF-8; empty if it has none.
   */
  char description[1025];
  /**
   * 0.
   */
  uint8_t reserved[1];
};

/**
 * What a change came to.
 *
 * Set size to sizeof(struct vgpu_change) before each call. What was said of struct vgpu_vm_config and older libraries is true
 * here too.
 */
struct vgpu_change {
  /**
   * The size of the structure, set by the caller.
   */
  size_t size;
  /**
   * 1 if the settings have changed, 0 if they were the same already.
   */
  int32_t changed;
  /**
   * VGPU_XAPI_WRITTEN, VGPU_XAPI_ALREADY_RIGHT, VGPU_XAPI_UNKNOWN_VM or VGPU_XAPI_AWAY.
   */
  int32_t xapi;
  /**
   * VGPU_TAKES_EFFECT_NEVER, VGPU_TAKES_EFFECT_AT_NEXT_START or VGPU_TAKES_EFFECT_AT_NEXT_START_OR_REBOOT.
   */
  int32_t takes_effect;
  /**
   * 0.
   */
  int32_t reserved;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * A code in words, for any code. Says less than vgpu_last_message().
 *
 * The text is constant and never freed. Any thread may call this at any time.
 */
const char *vgpu_strerror(int code);

/**
 * Opens the database, and creates or migrates it if needed. The process must be root's, unless it may write the file.
 *
 * A handle is used by one thread at a time; each thread should have its own. A call while another thread uses the handle returns
 * VGPU_IN_USE. A handle must not be used in a child process after fork(); the child can close it, and open one of its own. All
 * descriptors are closed on exec().
 *
 * path: NULL for /etc/vgpu/vgpu_config.db. Another path that ends with etc/vgpu/vgpu_config.db stands for the host whose root
 * folder precedes that. Any other path needs VGPU_OPEN_DATABASE_ONLY.
 * flags: 0, or VGPU_OPEN_READ_ONLY and VGPU_OPEN_DATABASE_ONLY.
 * db: gets the handle, or NULL if the function fails. The caller closes it with vgpu_db_close().
 *
 * Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_SETTINGS_ERROR or VGPU_DB_ERROR; vgpu_last_message(NULL) says why.
 */
int vgpu_db_init(const char *path,
                 uint32_t flags,
                 struct vgpu_db **db);

/**
 * Closes a handle, with its descriptor and its last message.
 *
 * Returns VGPU_OK, VGPU_INVALID_PARAM (NULL), VGPU_INVALID_HANDLE (closed already) or VGPU_IN_USE (by another thread or a
 * callback: the handle stays open).
 */
int vgpu_db_close(struct vgpu_db *db);

/**
 * Checks the database: file, permissions, integrity, schema and rows. Changes nothing. Takes longer the larger it is.
 *
 * callback: called for each thing that was checked; NULL if only the result is of interest.
 * context: passed to the callback.
 *
 * Returns VGPU_OK, VGPU_STOPPED (by the callback), VGPU_DB_ERROR (something is wrong; vgpu_last_message() says what, and
 * what to do), or an error of the handle.
 */
int vgpu_db_check(struct vgpu_db *db,
                  vgpu_check_callback callback,
                  void *context);

/**
 * Tells whether the database has changed. Costs about as much as a lookup.
 *
 * The number becomes larger when any program has committed a change since the last call with this handle: vgpu-admin, the
 * plugin, the hook, an sqlite3 shell, another handle, this handle; also if the file was replaced, for example by a backup. A
 * change may have left the settings as they were. Compare numbers of the same handle only. Get the number first and read
 * afterwards: what is changed in between makes the next number larger.
 *
 * A setting changed on another host reaches this host's database when a VM starts, when it is read without
 * VGPU_OPEN_DATABASE_ONLY, or by vgpu-admin sync.
 *
 * generation: gets the number, at least 1, if VGPU_OK is returned.
 *
 * Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_DB_ERROR, VGPU_FILE_ERROR, or an error of the handle.
 */
int vgpu_db_generation(struct vgpu_db *db,
                       uint64_t *generation);

/**
 * Gets a descriptor for poll(), select() or epoll: it becomes readable when the database may have changed.
 *
 * Do not read from it and do not close it. Call vgpu_db_generation(): it tells whether there was a change, and makes the
 * descriptor unreadable again until the next. Get the descriptor first, then the number, then read the settings.
 *
 * fd: gets the descriptor, the same at each call, if VGPU_OK is returned. It belongs to the handle.
 *
 * Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_FILE_ERROR, or an error of the handle.
 */
int vgpu_db_descriptor(struct vgpu_db *db,
                       int *fd);

/**
 * The message of the last call with a handle, in one line: why it failed, with what to do, or what to know although it succeeded,
 * or an empty text. With NULL: of this thread's last vgpu_db_init() that failed.
 *
 * Returns a text that ends with a zero byte, never NULL. It belongs to the library, is valid until the handle is closed, and
 * changes with the next call with the handle. For a handle that cannot be used: why not.
 */
const char *vgpu_last_message(const struct vgpu_db *db);

/**
 * The library's version, such as "0.1.0". The text is constant and never freed. Any thread may call this at any time.
 */
const char *vgpu_version(void);

/**
 * Gets a VM's settings by its UUID.
 *
 * With VGPU_OPEN_DATABASE_ONLY this host's database alone is read, in microseconds. Otherwise XAPI is asked first for what
 * other hosts have changed, for a second at most, and as_of says if it did not answer.
 *
 * vm_uuid: the UUID, 36 characters in any case, ended by a zero byte.
 * vm: filled in if VGPU_OK is returned, otherwise unchanged. Set vm->size before.
 *
 * Returns VGPU_OK, VGPU_NOT_FOUND, VGPU_INVALID_PARAM, VGPU_BUFFER_TOO_SMALL (vm->size is too small), VGPU_DB_ERROR, or an
 * error of the handle.
 */
int vgpu_get_vm_config(struct vgpu_db *db,
                       const char *vm_uuid,
                       struct vgpu_vm_config *vm);

/**
 * Gets the settings of the VM whose device has a number: vm_id on QEMU's command line. Otherwise as vgpu_get_vm_config().
 *
 * device_vm_id: 1 to 4294967295.
 *
 * Returns as vgpu_get_vm_config(); VGPU_NOT_FOUND if no registered VM has the number.
 */
int vgpu_get_vm_by_device_id(struct vgpu_db *db,
                             uint32_t device_vm_id,
                             struct vgpu_vm_config *vm);

/**
 * Gets a VM's whole name, which may be longer than vm_name in struct vgpu_vm_config.
 *
 * buffer: gets the name, UTF-8, with a zero byte; an empty text if the VM has none. NULL with buffer_size 0 asks for the
 * length alone.
 * buffer_size: the buffer's size in bytes.
 * needed: if not NULL, gets the size that a buffer needs, with the zero byte.
 *
 * Returns VGPU_OK, VGPU_BUFFER_TOO_SMALL (the buffer is unchanged, needed is set), or as vgpu_get_vm_config().
 */
int vgpu_get_vm_name(struct vgpu_db *db,
                     const char *vm_uuid,
                     char *buffer,
                     size_t buffer_size,
                     size_t *needed);

/**
 * Lists the registered VMs by UUID, with a few in memory at a time, however many there are.
 *
 * A VM that is registered all the while is listed exactly once; changes made meanwhile may or may not be seen. What other
 * hosts have changed is known as in vgpu_get_vm_config().
 *
 * pool_id: only VMs of this GPU pool; VGPU_UNSET_POOL for all.
 * priority: only VMs of this priority; VGPU_UNSET_PRIORITY for all.
 * callback: called for each VM, in the caller's thread.
 * context: passed to the callback.
 *
 * Returns VGPU_OK, VGPU_STOPPED (by the callback), VGPU_INVALID_PARAM, VGPU_DB_ERROR, or an error of the handle.
 */
int vgpu_list_vms(struct vgpu_db *db,
                  char pool_id,
                  int priority,
                  vgpu_vm_callback callback,
                  void *context);

/**
 * Counts the registered VMs of a GPU pool.
 *
 * pool_id: 'A' or 'B'.
 * count: gets the number if VGPU_OK is returned.
 *
 * Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_DB_ERROR, or an error of the handle.
 */
int vgpu_count_vms_by_pool(struct vgpu_db *db, char pool_id, uint64_t *count);

/**
 * Counts the registered VMs of a priority.
 *
 * priority: VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM or VGPU_PRIORITY_HIGH.
 * count: gets the number if VGPU_OK is returned.
 *
 * Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_DB_ERROR, or an error of the handle.
 */
int vgpu_count_vms_by_priority(struct vgpu_db *db, int priority, uint64_t *count);

/**
 * Gets a GPU pool: its name, description and limit, and how many VMs and GPUs it has.
 *
 * How long it waits is as for vgpu_get_vm_config().
 *
 * pool_id: 'A' or 'B'.
 * pool: filled in if VGPU_OK is returned, otherwise unchanged. Set pool->size before.
 *
 * Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_BUFFER_TOO_SMALL (pool->size is too small), VGPU_DB_ERROR, or an error of the
 * handle.
 */
int vgpu_get_pool(struct vgpu_db *db,
                  char pool_id,
                  struct vgpu_pool *pool);

/**
 * Registers a VM: from its next start on, its QEMU gets the device.
 *
 * vm_uuid: the UUID, 36 characters, ended by a zero byte.
 * vm_name: the name, UTF-8, for a VM that XAPI does not know; NULL for none. XAPI's own name is preferred.
 * pool_id: 'A' or 'B'; VGPU_UNSET_POOL for the default of the settings file.
 * priority: VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM or VGPU_PRIORITY_HIGH; VGPU_UNSET_PRIORITY for the default.
 * device_vm_id: the device's number; VGPU_UNSET_VM_ID to have it derived from the UUID.
 * flags: 0, or VGPU_FORCE to register a VM that XAPI does not know, or one too many for the GPU pool.
 * change: filled in if VGPU_OK is returned; NULL if it is of no interest. Set change->size before.
 *
 * Returns VGPU_OK or an error; then nothing has changed:
 * VGPU_INVALID_PARAM, VGPU_BUFFER_TOO_SMALL (change->size), VGPU_READ_ONLY, VGPU_ALREADY_EXISTS, VGPU_UNKNOWN_VM,
 * VGPU_POOL_FULL, VGPU_XAPI_ERROR, VGPU_BUSY, VGPU_ARGS_TOO_LONG, VGPU_ARGS_UNCLEAR, VGPU_NEWER_FORMAT, VGPU_SETTINGS_ERROR, VGPU_FILE_ERROR,
 * VGPU_DB_ERROR, VGPU_ERROR, or an error of the handle.
 *
 * If XAPI is away, only the database is changed: the function returns VGPU_OK, change->xapi is VGPU_XAPI_AWAY and
 * vgpu_last_message() says so. A change waits 10 seconds for XAPI, and 15 for a program that changes the same VM or writes the
 * database.
 */
int vgpu_register_vm(struct vgpu_db *db,
                     const char *vm_uuid,
                     const char *vm_name,
                     char pool_id,
                     int priority,
                     uint32_t device_vm_id,
                     uint32_t flags,
                     struct vgpu_change *change);

/**
 * Moves a VM to another GPU pool.
 *
 * vm_uuid, change, what is returned and how long it waits: as vgpu_register_vm(), but VGPU_NOT_FOUND if the VM is not
 * registered, and VGPU_POOL_FULL if the GPU pool has as many VMs as it may have.
 * pool_id: 'A' or 'B'.
 */
int vgpu_set_pool(struct vgpu_db *db, const char *vm_uuid, char pool_id, struct vgpu_change *change);

/**
 * Gives a VM another priority.
 *
 * vm_uuid, change, what is returned and how long it waits: as vgpu_set_pool().
 * priority: VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM or VGPU_PRIORITY_HIGH.
 */
int vgpu_set_priority(struct vgpu_db *db, const char *vm_uuid, int priority, struct vgpu_change *change);

/**
 * Changes several settings of a VM at once.
 *
 * vm_uuid, change, what is returned and how long it waits: as vgpu_set_pool(); VGPU_ALREADY_EXISTS if another VM has the
 * number, VGPU_INVALID_PARAM if nothing is to be changed.
 * pool_id: 'A' or 'B'; VGPU_UNSET_POOL leaves it as it is.
 * priority: the priority; VGPU_UNSET_PRIORITY leaves it as it is.
 * device_vm_id: the device's number; VGPU_UNSET_VM_ID leaves it as it is.
 */
int vgpu_update_vm(struct vgpu_db *db,
                   const char *vm_uuid,
                   char pool_id,
                   int priority,
                   uint32_t device_vm_id,
                   struct vgpu_change *change);

/**
 * Removes a VM's settings, and the device's argument from XAPI's record of the VM. A VM that runs has its device until it is
 * started again.
 *
 * vm_uuid, change, what is returned and how long it waits: as vgpu_set_pool().
 */
int vgpu_remove_vm(struct vgpu_db *db,
                   const char *vm_uuid,
                   struct vgpu_change *change);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VGPU_CONFIG_H */
