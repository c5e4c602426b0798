/* Makes one call, and prints its code, what it gave, and the message: call PATH FLAGS FUNCTION [ARGUMENT]... */

#include "check.h"

static const char *text(char **arguments, int index)
{
    int given = 0;
    while (given <= index && arguments[given] != NULL)
        given++;
    return given > index ? arguments[index] : NULL;
}

static int number(char **arguments, int index)
{
    const char *given = text(arguments, index);
    return given == NULL ? 0 : atoi(given);
}

static char letter(char **arguments, int index)
{
    const char *given = text(arguments, index);
    return given == NULL ? VGPU_UNSET_POOL : given[0];
}

static int list_one(const struct vgpu_vm_config *vm, void *context)
{
    (void)context;
    printf("%s %c %d\n", vm->vm_uuid, vm->pool_id, (int)vm->priority);
    return 0;
}

static int changed(int code, const struct vgpu_change *change)
{
    if (code == VGPU_OK)
        printf("changed=%d xapi=%d takes_effect=%d\n", change->changed, change->xapi, change->takes_effect);
    return code;
}

static int shown(int code, const struct vgpu_vm_config *vm)
{
    if (code == VGPU_OK)
        printf("%s '%s' %c %d vm_id=%lu revision=%d in_xapi=%d started=%d/%d %c %d as_of='%s'\n", vm->vm_uuid, vm->vm_name,
               vm->pool_id, (int)vm->priority, (unsigned long)vm->device_vm_id, (int)vm->revision, (int)vm->in_xapi,
               (int)vm->was_started, (int)vm->start_is_current, vm->started_pool_id ? vm->started_pool_id : '-',
               (int)vm->started_priority, vm->as_of);
    return code;
}

static int counted(int code, const uint64_t *count)
{
    if (code == VGPU_OK)
        printf("%lu\n", (unsigned long)*count);
    return code;
}

static int call(struct vgpu_db *db, const char *function, char **given)
{
    struct vgpu_vm_config vm = sized_vm();
    struct vgpu_change change = sized_change();
    const char *uuid = text(given, 0);
    uint64_t count = 0;
    if (strcmp(function, "register") == 0)
        return changed(vgpu_register_vm(db, uuid, text(given, 4), letter(given, 1), number(given, 2), 0,
                                        (uint32_t)number(given, 3), &change), &change);
    if (strcmp(function, "set_pool") == 0)
        return changed(vgpu_set_pool(db, uuid, letter(given, 1), &change), &change);
    if (strcmp(function, "set_priority") == 0)
        return changed(vgpu_set_priority(db, uuid, number(given, 1), &change), &change);
    if (strcmp(function, "update") == 0)
        return changed(vgpu_update_vm(db, uuid, letter(given, 1), number(given, 2), (uint32_t)number(given, 3), &change),
                       &change);
    if (strcmp(function, "remove") == 0)
        return changed(vgpu_remove_vm(db, uuid, &change), &change);
    if (strcmp(function, "get") == 0)
        return shown(vgpu_get_vm_config(db, uuid, &vm), &vm);
    if (strcmp(function, "device") == 0)
        return shown(vgpu_get_vm_by_device_id(db, (uint32_t)strtoul(uuid, NULL, 10), &vm), &vm);
    if (strcmp(function, "list") == 0)
        return vgpu_list_vms(db, VGPU_UNSET_POOL, VGPU_UNSET_PRIORITY, list_one, NULL);
    if (strcmp(function, "pool") == 0)
        return counted(vgpu_count_vms_by_pool(db, letter(given, 0), &count), &count);
    if (strcmp(function, "priority") == 0)
        return counted(vgpu_count_vms_by_priority(db, number(given, 0), &count), &count);
    CHECK(strcmp(function, "check") == 0);
    return vgpu_db_check(db, NULL, NULL);
}

int main(int argc, char **argv)
{
    struct vgpu_db *db = NULL;
    int code;
    CHECK(argc > 3);
    code = vgpu_db_init(argv[1], (uint32_t)atoi(argv[2]), &db);
    if (code == VGPU_OK)
        code = call(db, argv[3], argv + 4);
    printf("%d %s\n", code, vgpu_last_message(db));
    return db == NULL ? 0 : vgpu_db_close(db);
}
