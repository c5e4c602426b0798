/* Eight threads with handles of their own, while other programs write: threads PATH. Every VM is one thread's to change, and
 * everybody's to read. */

#include <pthread.h>

#include "check.h"

#define THREADS 8
#define ROUNDS 25

static const char *path;

static void uuid_of(int thread, char uuid[37])
{
    snprintf(uuid, 37, "%08x-0000-4000-8000-%012x", thread, thread);
}

static int count(const struct vgpu_vm_config *vm, void *context)
{
    CHECK(vm->pool_id == 'A' || vm->pool_id == 'B');
    ++*(int *)context;
    return 0;
}

static void *work(void *argument)
{
    int thread = *(int *)argument, round, listed;
    char uuid[37], other[37];
    struct vgpu_db *db;
    struct vgpu_vm_config vm = sized_vm();
    uint64_t generation, later, number;
    uuid_of(thread, uuid);
    uuid_of((thread + 1) % THREADS, other);
    IS_OK(NULL, vgpu_db_init(path, VGPU_OPEN_DATABASE_ONLY, &db));
    for (round = 1; round <= ROUNDS; round++) {
        IS_OK(db, vgpu_db_generation(db, &generation));
        IS_OK(db, vgpu_update_vm(db, uuid, round % 2 ? 'A' : 'B', round % 3, VGPU_UNSET_VM_ID, NULL));
        IS_OK(db, vgpu_db_generation(db, &later));
        CHECK(later > generation);
        IS_OK(db, vgpu_get_vm_config(db, uuid, &vm));
        /* Each round was one change, and none was lost. */
        CHECK(vm.revision == round + 1 && vm.priority == round % 3 && vm.pool_id == (round % 2 ? 'A' : 'B'));
        IS_OK(db, vgpu_get_vm_by_device_id(db, vm.device_vm_id, &vm));
        CHECK(strcmp(vm.vm_uuid, uuid) == 0);
        IS_OK(db, vgpu_get_vm_config(db, other, &vm));
        listed = 0;
        IS_OK(db, vgpu_list_vms(db, VGPU_UNSET_POOL, VGPU_UNSET_PRIORITY, count, &listed));
        CHECK(listed >= THREADS);
        IS_OK(db, vgpu_count_vms_by_pool(db, 'A', &number));
    }
    CHECK(vgpu_db_close(db) == VGPU_OK);
    return NULL;
}

/* One handle for all of them: each call is carried out, or says that the handle is in use. */
static void *share(void *argument)
{
    struct vgpu_db *db = (struct vgpu_db *)argument;
    struct vgpu_vm_config vm = sized_vm();
    char uuid[37];
    int round;
    uuid_of(0, uuid);
    for (round = 0; round < 200; round++) {
        int code = vgpu_get_vm_config(db, uuid, &vm);
        CHECK(code == VGPU_OK || code == VGPU_IN_USE);
    }
    return NULL;
}

static void all(void *(*run)(void *), void *shared)
{
    pthread_t threads[THREADS];
    int numbers[THREADS], thread;
    for (thread = 0; thread < THREADS; thread++) {
        numbers[thread] = thread;
        CHECK(pthread_create(&threads[thread], NULL, run, shared ? shared : &numbers[thread]) == 0);
    }
    for (thread = 0; thread < THREADS; thread++)
        CHECK(pthread_join(threads[thread], NULL) == 0);
}

int main(int argc, char **argv)
{
    struct vgpu_db *db;
    int thread;
    CHECK(argc == 2);
    path = argv[1];
    IS_OK(NULL, vgpu_db_init(path, VGPU_OPEN_DATABASE_ONLY, &db));
    for (thread = 0; thread < THREADS; thread++) {
        char uuid[37];
        uuid_of(thread, uuid);
        IS_OK(db, vgpu_register_vm(db, uuid, NULL, 'B', VGPU_PRIORITY_LOW, VGPU_UNSET_VM_ID, 0, NULL));
    }
    printf("registered\n");
    fflush(stdout);
    all(work, NULL);
    all(share, db);
    CHECK(vgpu_db_close(db) == VGPU_OK);
    printf("done\n");
    return 0;
}
