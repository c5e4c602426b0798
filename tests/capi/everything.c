/* Every function, with what it is for and with what it refuses, on a database alone: everything PATH, where no database is yet.
 * Also compiled as C++. */

#include "check.h"

static struct vgpu_db *opened(const char *path, uint32_t flags)
{
    struct vgpu_db *db = NULL;
    IS_OK(NULL, vgpu_db_init(path, flags, &db));
    CHECK(db != NULL);
    return db;
}

static void opening(const char *path)
{
    struct vgpu_db *db = (struct vgpu_db *)&path;
    RETURNS(VGPU_INVALID_PARAM, "db is NULL", NULL, vgpu_db_init(path, 0, NULL));
    RETURNS(VGPU_INVALID_PARAM, "unknown flags", NULL, vgpu_db_init(path, 4, &db));
    CHECK(db == NULL);
    RETURNS(VGPU_INVALID_PARAM, "path", NULL, vgpu_db_init("", VGPU_OPEN_DATABASE_ONLY, &db));
    RETURNS(VGPU_INVALID_PARAM, "VGPU_OPEN_DATABASE_ONLY", NULL, vgpu_db_init("/tmp/vgpu-other.db", 0, &db));
    RETURNS(VGPU_DB_ERROR, "there is no database", NULL, vgpu_db_init(path, VGPU_OPEN_READ_ONLY | VGPU_OPEN_DATABASE_ONLY, &db));
    CHECK(db == NULL);
    db = opened(path, VGPU_OPEN_DATABASE_ONLY);
    IS_OK(db, vgpu_db_close(db));
    db = opened(path, VGPU_OPEN_DATABASE_ONLY | VGPU_OPEN_READ_ONLY);
    IS_OK(db, vgpu_db_close(db));
}

static int refuse(const struct vgpu_vm_config *vm, void *context)
{
    (void)vm;
    (void)context;
    return 0;
}

/* What every function with a handle returns for one that is none. */
static void with_handle(struct vgpu_db *db, int code)
{
    struct vgpu_vm_config vm = sized_vm();
    struct vgpu_change change = sized_change();
    uint64_t number = 0;
    int fd = -1;
    char name[8];
    CHECK(vgpu_get_vm_config(db, VM, &vm) == code);
    CHECK(vgpu_get_vm_by_device_id(db, VM_ID, &vm) == code);
    CHECK(vgpu_get_vm_name(db, VM, name, sizeof name, NULL) == code);
    CHECK(vgpu_list_vms(db, 0, -1, refuse, NULL) == code);
    CHECK(vgpu_count_vms_by_pool(db, 'A', &number) == code);
    CHECK(vgpu_count_vms_by_priority(db, 0, &number) == code);
    CHECK(vgpu_register_vm(db, VM, NULL, 'A', 0, 0, 0, &change) == code);
    CHECK(vgpu_set_pool(db, VM, 'B', &change) == code);
    CHECK(vgpu_set_priority(db, VM, 1, &change) == code);
    CHECK(vgpu_update_vm(db, VM, 'B', 1, 0, &change) == code);
    CHECK(vgpu_remove_vm(db, VM, &change) == code);
    CHECK(vgpu_db_check(db, NULL, NULL) == code);
    CHECK(vgpu_db_generation(db, &number) == code);
    CHECK(vgpu_db_descriptor(db, &fd) == code);
    CHECK(vgpu_db_close(db) == code);
    CHECK(fd == -1 && number == 0 && change.changed == 0 && vm.revision == 0);
    CHECK(vgpu_last_message(db) != NULL);
}

static void handles(const char *path)
{
    struct vgpu_db *closed = opened(path, VGPU_OPEN_DATABASE_ONLY);
    IS_OK(closed, vgpu_db_close(closed));
    with_handle(closed, VGPU_INVALID_HANDLE);
    with_handle(NULL, VGPU_INVALID_PARAM);
    with_handle((struct vgpu_db *)&path, VGPU_INVALID_HANDLE);
    CHECK(strcmp(vgpu_last_message(closed), vgpu_strerror(VGPU_INVALID_HANDLE)) == 0);
}

static void changing(struct vgpu_db *db)
{
    struct vgpu_change change = sized_change();
    IS_OK(db, vgpu_register_vm(db, VM, "web01", 'A', VGPU_PRIORITY_HIGH, VGPU_UNSET_VM_ID, 0, &change));
    CHECK(strstr(vgpu_last_message(db), "Only the database was changed") != NULL);
    CHECK(change.changed == 1 && change.xapi == VGPU_XAPI_AWAY);
    CHECK(change.takes_effect == VGPU_TAKES_EFFECT_AT_NEXT_START && change.size == sizeof change);
    IS_OK(db, vgpu_register_vm(db, OTHER_VM, NULL, VGPU_UNSET_POOL, VGPU_UNSET_PRIORITY, 7, VGPU_FORCE, NULL));
    IS_OK(db, vgpu_set_pool(db, VM, 'B', &change));
    CHECK(change.changed == 1);
    IS_OK(db, vgpu_set_pool(db, VM, 'B', &change));
    CHECK(change.changed == 0 && change.takes_effect == VGPU_TAKES_EFFECT_NEVER);
    IS_OK(db, vgpu_set_priority(db, VM, VGPU_PRIORITY_LOW, NULL));
    IS_OK(db, vgpu_update_vm(db, VM, 'A', VGPU_UNSET_PRIORITY, VGPU_UNSET_VM_ID, &change));
    CHECK(change.changed == 1);
    IS_OK(db, vgpu_update_vm(db, OTHER_VM, VGPU_UNSET_POOL, VGPU_PRIORITY_HIGH, 8, NULL));
}

static void what_a_change_refuses(struct vgpu_db *db)
{
    struct vgpu_change change = sized_change();
    RETURNS(VGPU_ALREADY_EXISTS, "already registered", db, vgpu_register_vm(db, VM, NULL, 'A', 0, 0, 0, &change));
    RETURNS(VGPU_ALREADY_EXISTS, "vm_id 8", db, vgpu_register_vm(db, NO_VM, NULL, 'A', 0, 8, 0, &change));
    RETURNS(VGPU_ALREADY_EXISTS, "vm_id 8", db, vgpu_update_vm(db, VM, 0, -1, 8, &change));
    RETURNS(VGPU_NOT_FOUND, NO_VM, db, vgpu_set_pool(db, NO_VM, 'A', &change));
    RETURNS(VGPU_NOT_FOUND, NO_VM, db, vgpu_set_priority(db, NO_VM, 1, &change));
    RETURNS(VGPU_NOT_FOUND, NO_VM, db, vgpu_update_vm(db, NO_VM, 'A', 1, 0, &change));
    RETURNS(VGPU_NOT_FOUND, NO_VM, db, vgpu_remove_vm(db, NO_VM, &change));
    RETURNS(VGPU_INVALID_PARAM, "nothing to change", db, vgpu_update_vm(db, VM, 0, -1, 0, &change));
    RETURNS(VGPU_INVALID_PARAM, "vm_uuid is NULL", db, vgpu_remove_vm(db, NULL, &change));
    RETURNS(VGPU_INVALID_PARAM, "vm_uuid: 'web01'", db, vgpu_set_pool(db, "web01", 'A', &change));
    RETURNS(VGPU_INVALID_PARAM, "vm_uuid: ''", db, vgpu_set_priority(db, "", 0, &change));
    RETURNS(VGPU_INVALID_PARAM, "pool_id: 'C'", db, vgpu_set_pool(db, VM, 'C', &change));
    RETURNS(VGPU_INVALID_PARAM, "pool_id", db, vgpu_set_pool(db, VM, VGPU_UNSET_POOL, &change));
    RETURNS(VGPU_INVALID_PARAM, "pool_id", db, vgpu_register_vm(db, NO_VM, NULL, 'X', 0, 0, 0, &change));
    RETURNS(VGPU_INVALID_PARAM, "priority: '3'", db, vgpu_set_priority(db, VM, 3, &change));
    RETURNS(VGPU_INVALID_PARAM, "priority: '-2'", db, vgpu_update_vm(db, VM, 'A', -2, 0, &change));
    RETURNS(VGPU_INVALID_PARAM, "flags: 0x2", db, vgpu_register_vm(db, NO_VM, NULL, 'A', 0, 0, 2, &change));
    RETURNS(VGPU_INVALID_PARAM, "vm_name", db, vgpu_register_vm(db, NO_VM, "\xff", 'A', 0, 0, 0, &change));
    RETURNS(VGPU_INVALID_PARAM, "vm_name", db, vgpu_register_vm(db, NO_VM, "a\x01", 'A', 0, 0, 0, &change));
    change.size = 4;
    RETURNS(VGPU_BUFFER_TOO_SMALL, "change: size 4", db, vgpu_set_pool(db, VM, 'B', &change));
    change.size = (size_t)-1;
    RETURNS(VGPU_INVALID_PARAM, "not a size", db, vgpu_remove_vm(db, VM, &change));
    CHECK(change.changed == 0);
}

static void reading(struct vgpu_db *db)
{
    struct vgpu_vm_config vm = sized_vm();
    IS_OK(db, vgpu_get_vm_config(db, "CDA8BCD3-F410-BD1F-3688-8C308FF28E90", &vm));
    CHECK(vm.size == sizeof vm && vm.device_vm_id == VM_ID && strcmp(vm.vm_uuid, VM) == 0);
    CHECK(vm.pool_id == 'A' && vm.priority == VGPU_PRIORITY_LOW && vm.revision == 4 && vm.in_xapi == 0);
    CHECK(strcmp(vm.vm_name, "web01") == 0 && vm.vm_name_length == 5);
    CHECK(vm.was_started == 0 && vm.start_is_current == 0);
    CHECK(vm.started_pool_id == VGPU_UNSET_POOL && vm.started_priority == VGPU_UNSET_PRIORITY);
    CHECK(strlen(vm.created_at) == 19 && strlen(vm.updated_at) == 19 && strcmp(vm.as_of, "") == 0);
    IS_OK(db, vgpu_get_vm_by_device_id(db, 8, &vm));
    CHECK(strcmp(vm.vm_uuid, OTHER_VM) == 0 && vm.pool_id == 'A' && vm.priority == VGPU_PRIORITY_HIGH);
    CHECK(strcmp(vm.vm_name, "") == 0 && vm.vm_name_length == 0);
    vm.revision = 77;
    RETURNS(VGPU_NOT_FOUND, "vm_id 9", db, vgpu_get_vm_by_device_id(db, 9, &vm));
    RETURNS(VGPU_NOT_FOUND, NO_VM, db, vgpu_get_vm_config(db, NO_VM, &vm));
    RETURNS(VGPU_INVALID_PARAM, "device_vm_id: '0'", db, vgpu_get_vm_by_device_id(db, 0, &vm));
    RETURNS(VGPU_INVALID_PARAM, "vm_uuid is NULL", db, vgpu_get_vm_config(db, NULL, &vm));
    RETURNS(VGPU_INVALID_PARAM, "vm_uuid: '", db, vgpu_get_vm_config(db, VM " ", &vm));
    RETURNS(VGPU_INVALID_PARAM, "vm is NULL", db, vgpu_get_vm_config(db, VM, NULL));
    RETURNS(VGPU_INVALID_PARAM, "vm is NULL", db, vgpu_get_vm_by_device_id(db, 8, NULL));
    vm.size = sizeof vm - 1;
    RETURNS(VGPU_BUFFER_TOO_SMALL, "vm: size", db, vgpu_get_vm_config(db, VM, &vm));
    vm.size = 0;
    RETURNS(VGPU_BUFFER_TOO_SMALL, "vm: size 0", db, vgpu_get_vm_by_device_id(db, 8, &vm));
    CHECK(vm.revision == 77);
}

static void pools(struct vgpu_db *db)
{
    struct vgpu_pool pool;
    memset(&pool, 0, sizeof pool);
    pool.size = sizeof pool;
    IS_OK(db, vgpu_get_pool(db, 'A', &pool));
    CHECK(pool.size == sizeof pool && pool.pool_id == 'A' && pool.max_vms == VGPU_NO_LIMIT);
    CHECK(pool.vms == 2 && pool.high == 1 && pool.medium == 0 && pool.low == 1 && pool.gpus == 0);
    CHECK(strcmp(pool.name, "") == 0 && strcmp(pool.description, "") == 0 && strcmp(pool.as_of, "") == 0);
    RETURNS(VGPU_INVALID_PARAM, "pool_id: 'C'", db, vgpu_get_pool(db, 'C', &pool));
    RETURNS(VGPU_INVALID_PARAM, "pool is NULL", db, vgpu_get_pool(db, 'A', NULL));
    pool.size = 8;
    RETURNS(VGPU_BUFFER_TOO_SMALL, "pool: size 8", db, vgpu_get_pool(db, 'A', &pool));
    CHECK(pool.vms == 2);
}

static void names(struct vgpu_db *db)
{
    char name[400], given[301];
    size_t needed = 0;
    struct vgpu_vm_config vm = sized_vm();
    memset(given, 'n', sizeof given - 1);
    given[300] = 0;
    IS_OK(db, vgpu_register_vm(db, NO_VM, given, 'B', 1, 0, 0, NULL));
    IS_OK(db, vgpu_get_vm_config(db, NO_VM, &vm));
    CHECK(strlen(vm.vm_name) == 255 && vm.vm_name_length == 300);
    RETURNS(VGPU_BUFFER_TOO_SMALL, "301 bytes", db, vgpu_get_vm_name(db, NO_VM, NULL, 0, &needed));
    CHECK(needed == 301);
    name[0] = 'x';
    RETURNS(VGPU_BUFFER_TOO_SMALL, "has 300", db, vgpu_get_vm_name(db, NO_VM, name, 300, NULL));
    CHECK(name[0] == 'x');
    IS_OK(db, vgpu_get_vm_name(db, NO_VM, name, needed, &needed));
    CHECK(strcmp(name, given) == 0);
    IS_OK(db, vgpu_get_vm_name(db, OTHER_VM, name, 1, &needed));
    CHECK(needed == 1 && name[0] == 0);
    RETURNS(VGPU_INVALID_PARAM, "buffer is NULL", db, vgpu_get_vm_name(db, VM, NULL, 3, NULL));
    RETURNS(VGPU_INVALID_PARAM, "vm_uuid is NULL", db, vgpu_get_vm_name(db, NULL, name, 3, NULL));
    IS_OK(db, vgpu_remove_vm(db, NO_VM, NULL));
    RETURNS(VGPU_NOT_FOUND, NO_VM, db, vgpu_get_vm_name(db, NO_VM, name, sizeof name, NULL));
}

struct listed {
    struct vgpu_db *db;
    int most;
    int vms;
    char uuids[100];
};

static int note(const struct vgpu_vm_config *vm, void *context)
{
    struct listed *listed = (struct listed *)context;
    uint64_t number;
    CHECK(vm->size == sizeof *vm);
    strcat(listed->uuids, vm->vm_uuid);
    /* The handle that lists is in use, and stays open. */
    CHECK(vgpu_count_vms_by_pool(listed->db, 'A', &number) == VGPU_IN_USE);
    CHECK(vgpu_db_close(listed->db) == VGPU_IN_USE);
    CHECK(strcmp(vgpu_last_message(listed->db), vgpu_strerror(VGPU_IN_USE)) == 0);
    return ++listed->vms == listed->most;
}

static void listing(struct vgpu_db *db)
{
    struct listed listed;
    uint64_t number = 0;
    memset(&listed, 0, sizeof listed);
    listed.db = db;
    IS_OK(db, vgpu_list_vms(db, VGPU_UNSET_POOL, VGPU_UNSET_PRIORITY, note, &listed));
    CHECK(listed.vms == 2 && strcmp(listed.uuids, OTHER_VM VM) == 0);
    listed.vms = 0;
    listed.most = 1;
    listed.uuids[0] = 0;
    RETURNS(VGPU_STOPPED, "", db, vgpu_list_vms(db, 'A', VGPU_UNSET_PRIORITY, note, &listed));
    CHECK(listed.vms == 1);
    IS_OK(db, vgpu_list_vms(db, 'B', VGPU_UNSET_PRIORITY, note, &listed));
    IS_OK(db, vgpu_list_vms(db, 'A', VGPU_PRIORITY_MEDIUM, note, &listed));
    CHECK(listed.vms == 1);
    RETURNS(VGPU_INVALID_PARAM, "callback is NULL", db, vgpu_list_vms(db, 0, -1, NULL, NULL));
    RETURNS(VGPU_INVALID_PARAM, "pool_id", db, vgpu_list_vms(db, 'C', -1, note, &listed));
    RETURNS(VGPU_INVALID_PARAM, "priority", db, vgpu_list_vms(db, 0, 3, note, &listed));
    IS_OK(db, vgpu_count_vms_by_pool(db, 'A', &number));
    CHECK(number == 2);
    IS_OK(db, vgpu_count_vms_by_pool(db, 'B', &number));
    CHECK(number == 0);
    IS_OK(db, vgpu_count_vms_by_priority(db, VGPU_PRIORITY_HIGH, &number));
    CHECK(number == 1);
    IS_OK(db, vgpu_count_vms_by_priority(db, VGPU_PRIORITY_MEDIUM, &number));
    CHECK(number == 0);
    RETURNS(VGPU_INVALID_PARAM, "pool_id", db, vgpu_count_vms_by_pool(db, VGPU_UNSET_POOL, &number));
    RETURNS(VGPU_INVALID_PARAM, "priority", db, vgpu_count_vms_by_priority(db, VGPU_UNSET_PRIORITY, &number));
    RETURNS(VGPU_INVALID_PARAM, "count is NULL", db, vgpu_count_vms_by_pool(db, 'A', NULL));
    RETURNS(VGPU_INVALID_PARAM, "count is NULL", db, vgpu_count_vms_by_priority(db, 0, NULL));
}

static int note_check(const char *name, int ok, const char *message, void *context)
{
    CHECK(ok == 1 && strlen(name) > 0 && strlen(message) > 0);
    return ++*(int *)context == 3;
}

static void watching(struct vgpu_db *db)
{
    uint64_t first = 0, second = 0;
    int fd = -1, same = -1, checked = 0;
    IS_OK(db, vgpu_db_check(db, NULL, NULL));
    RETURNS(VGPU_STOPPED, "", db, vgpu_db_check(db, note_check, &checked));
    CHECK(checked == 3);
    IS_OK(db, vgpu_db_check(db, note_check, &checked));
    CHECK(checked > 6);
    IS_OK(db, vgpu_db_descriptor(db, &fd));
    IS_OK(db, vgpu_db_descriptor(db, &same));
    CHECK(fd >= 0 && fd == same);
    IS_OK(db, vgpu_db_generation(db, &first));
    IS_OK(db, vgpu_db_generation(db, &second));
    CHECK(first >= 1 && first == second);
    IS_OK(db, vgpu_set_priority(db, VM, VGPU_PRIORITY_MEDIUM, NULL));
    IS_OK(db, vgpu_db_generation(db, &second));
    CHECK(second > first);
    RETURNS(VGPU_INVALID_PARAM, "generation is NULL", db, vgpu_db_generation(db, NULL));
    RETURNS(VGPU_INVALID_PARAM, "fd is NULL", db, vgpu_db_descriptor(db, NULL));
}

static void reading_only(const char *path)
{
    struct vgpu_db *db = opened(path, VGPU_OPEN_DATABASE_ONLY | VGPU_OPEN_READ_ONLY);
    struct vgpu_change change = sized_change();
    const char *why = "VGPU_OPEN_READ_ONLY";
    RETURNS(VGPU_READ_ONLY, why, db, vgpu_register_vm(db, NO_VM, NULL, 'A', 0, 0, 0, &change));
    RETURNS(VGPU_READ_ONLY, why, db, vgpu_set_pool(db, VM, 'B', &change));
    RETURNS(VGPU_READ_ONLY, why, db, vgpu_set_priority(db, VM, 1, &change));
    RETURNS(VGPU_READ_ONLY, why, db, vgpu_update_vm(db, VM, 'B', 1, 0, &change));
    RETURNS(VGPU_READ_ONLY, why, db, vgpu_remove_vm(db, VM, &change));
    reading(db);
    CHECK(vgpu_db_close(db) == VGPU_OK);
}

static void words(void)
{
    int code;
    for (code = VGPU_POOL_FULL - 1; code <= VGPU_STOPPED + 1; code++)
        CHECK(strlen(vgpu_strerror(code)) > 0);
    CHECK(strcmp(vgpu_strerror(VGPU_OK), "done") == 0 && strcmp(vgpu_strerror(-99), "unknown code") == 0);
    CHECK(strchr(vgpu_version(), '.') != NULL);
}

int main(int argc, char **argv)
{
    struct vgpu_db *db;
    CHECK(argc == 2);
    words();
    opening(argv[1]);
    handles(argv[1]);
    db = opened(argv[1], VGPU_OPEN_DATABASE_ONLY);
    changing(db);
    what_a_change_refuses(db);
    reading(db);
    reading_only(argv[1]);
    pools(db);
    names(db);
    listing(db);
    watching(db);
    IS_OK(db, vgpu_remove_vm(db, VM, NULL));
    RETURNS(VGPU_NOT_FOUND, VM, db, vgpu_set_pool(db, VM, 'A', NULL));
    CHECK(vgpu_db_close(db) == VGPU_OK);
    printf("done\n");
    return 0;
}
