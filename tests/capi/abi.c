/* What a program has in it of the header: sizes, places and codes. */

#include <stddef.h>
#include <stdio.h>

#include "vgpu_config.h"

#define SIZE(type) printf("sizeof(struct %s) = %lu\n", #type, (unsigned long)sizeof(struct type))
#define FIELD(type, field)                                                            \
    printf("    %s: %lu, %lu bytes\n", #field, (unsigned long)offsetof(struct type, field), \
           (unsigned long)sizeof(((struct type *)0)->field))
#define CODE(code) printf("%s = %ld\n", #code, (long)(code))

int main(void)
{
    SIZE(vgpu_vm_config);
    FIELD(vgpu_vm_config, size);
    FIELD(vgpu_vm_config, revision);
    FIELD(vgpu_vm_config, vm_name_length);
    FIELD(vgpu_vm_config, device_vm_id);
    FIELD(vgpu_vm_config, priority);
    FIELD(vgpu_vm_config, in_xapi);
    FIELD(vgpu_vm_config, was_started);
    FIELD(vgpu_vm_config, start_is_current);
    FIELD(vgpu_vm_config, started_priority);
    FIELD(vgpu_vm_config, started_pool_id);
    FIELD(vgpu_vm_config, pool_id);
    FIELD(vgpu_vm_config, vm_uuid);
    FIELD(vgpu_vm_config, created_at);
    FIELD(vgpu_vm_config, updated_at);
    FIELD(vgpu_vm_config, as_of);
    FIELD(vgpu_vm_config, vm_name);
    FIELD(vgpu_vm_config, reserved);
    SIZE(vgpu_pool);
    FIELD(vgpu_pool, size);
    FIELD(vgpu_pool, max_vms);
    FIELD(vgpu_pool, vms);
    FIELD(vgpu_pool, high);
    FIELD(vgpu_pool, medium);
    FIELD(vgpu_pool, low);
    FIELD(vgpu_pool, gpus);
    FIELD(vgpu_pool, pool_id);
    FIELD(vgpu_pool, as_of);
    FIELD(vgpu_pool, name);
    FIELD(vgpu_pool, description);
    FIELD(vgpu_pool, reserved);
    SIZE(vgpu_change);
    FIELD(vgpu_change, size);
    FIELD(vgpu_change, changed);
    FIELD(vgpu_change, xapi);
    FIELD(vgpu_change, takes_effect);
    FIELD(vgpu_change, reserved);
    CODE(VGPU_OK);
    CODE(VGPU_STOPPED);
    CODE(VGPU_ERROR);
    CODE(VGPU_NOT_FOUND);
    CODE(VGPU_INVALID_PARAM);
    CODE(VGPU_DB_ERROR);
    CODE(VGPU_ALREADY_EXISTS);
    CODE(VGPU_UNKNOWN_VM);
    CODE(VGPU_XAPI_ERROR);
    CODE(VGPU_BUSY);
    CODE(VGPU_SETTINGS_ERROR);
    CODE(VGPU_FILE_ERROR);
    CODE(VGPU_ARGS_TOO_LONG);
    CODE(VGPU_ARGS_UNCLEAR);
    CODE(VGPU_NEWER_FORMAT);
    CODE(VGPU_READ_ONLY);
    CODE(VGPU_INVALID_HANDLE);
    CODE(VGPU_IN_USE);
    CODE(VGPU_FORKED);
    CODE(VGPU_BUFFER_TOO_SMALL);
    CODE(VGPU_POOL_FULL);
    CODE(VGPU_NO_LIMIT);
    CODE(VGPU_PRIORITY_LOW);
    CODE(VGPU_PRIORITY_MEDIUM);
    CODE(VGPU_PRIORITY_HIGH);
    CODE(VGPU_UNSET_POOL);
    CODE(VGPU_UNSET_PRIORITY);
    CODE(VGPU_UNSET_VM_ID);
    CODE(VGPU_OPEN_READ_ONLY);
    CODE(VGPU_OPEN_DATABASE_ONLY);
    CODE(VGPU_FORCE);
    CODE(VGPU_XAPI_WRITTEN);
    CODE(VGPU_XAPI_ALREADY_RIGHT);
    CODE(VGPU_XAPI_UNKNOWN_VM);
    CODE(VGPU_XAPI_AWAY);
    CODE(VGPU_TAKES_EFFECT_NEVER);
    CODE(VGPU_TAKES_EFFECT_AT_NEXT_START);
    CODE(VGPU_TAKES_EFFECT_AT_NEXT_START_OR_REBOOT);
    return 0;
}
