/*
 * Prints the GPU pool and the priority of the VM whose device has a vm_id, and again whenever they change: watch VM_ID [DATABASE]
 *
 *     gcc -std=c99 -o watch watch.c -lvgpu_config
 */

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vgpu_config.h>

static const char *const PRIORITIES[] = { "low", "medium", "high" };

/* The settings in one line; why there are none in another. */
static void describe(struct vgpu_db *db, uint32_t vm_id, char line[128])
{
    struct vgpu_vm_config vm = { .size = sizeof vm };
    int code = vgpu_get_vm_by_device_id(db, vm_id, &vm);

    if (code == VGPU_OK)
        snprintf(line, 128, "%s pool=%c priority=%s", vm.vm_uuid, vm.pool_id, PRIORITIES[vm.priority]);
    else
        snprintf(line, 128, "%s", vgpu_strerror(code));
}

int main(int argc, char **argv)
{
    struct vgpu_db *db;
    uint32_t vm_id = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    char line[128], before[128] = "";
    uint64_t generation, seen = 0;
    struct pollfd changes = { -1, POLLIN, 0 };

    if (vgpu_db_init(argc > 2 ? argv[2] : NULL, VGPU_OPEN_READ_ONLY | VGPU_OPEN_DATABASE_ONLY, &db) != VGPU_OK) {
        fprintf(stderr, "watch: %s\n", vgpu_last_message(NULL));
        return 1;
    }
    /* First the descriptor, then the number, then the settings: so no change is missed. */
    while (vgpu_db_descriptor(db, &changes.fd) == VGPU_OK && vgpu_db_generation(db, &generation) == VGPU_OK) {
        if (generation != seen) {
            describe(db, vm_id, line);
            if (strcmp(line, before) != 0) {
                puts(line);
                fflush(stdout);
                strcpy(before, line);
            }
            seen = generation;
        }
        if (poll(&changes, 1, -1) < 0 && errno != EINTR)
            break;
    }
    fprintf(stderr, "watch: %s\n", vgpu_last_message(db));
    vgpu_db_close(db);
    return 1;
}
