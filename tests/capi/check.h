/* Checks of the test programs: the first that fails ends the program, and says where. */

#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vgpu_config.h"

#define CHECK(condition)                                                           \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                               \
        }                                                                          \
    } while (0)

/* A call that has to return a code, and to leave a message that contains a text. */
#define RETURNS(expected, text, db, call)                                                                            \
    do {                                                                                                             \
        int code_ = (call);                                                                                          \
        const char *message_ = vgpu_last_message(db);                                                                \
        if (code_ != (expected) || strstr(message_, (text)) == NULL) {                                               \
            fprintf(stderr, "%s:%d: %s: %d (%s): %s\n", __FILE__, __LINE__, #call, code_, vgpu_strerror(code_), message_); \
            exit(1);                                                                                                 \
        }                                                                                                            \
    } while (0)

#define IS_OK(db, call) RETURNS(VGPU_OK, "", db, call)

#define VM "cda8bcd3-f410-bd1f-3688-8c308ff28e90"
#define OTHER_VM "7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48"
#define NO_VM "00000000-0000-4000-8000-000000000000"
#define VM_ID 1170751909u

static inline struct vgpu_vm_config sized_vm(void)
{
    struct vgpu_vm_config vm;
    memset(&vm, 0, sizeof vm);
    vm.size = sizeof vm;
    return vm;
}

static inline struct vgpu_change sized_change(void)
{
    struct vgpu_change change;
    memset(&change, 0, sizeof change);
    change.size = sizeof change;
    return change;
}

#endif
