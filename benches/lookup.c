/*
 * How long a lookup takes, in nanoseconds: lookup ours|floor uuid|vm_id DATABASE < VMS
 *
 * Reads lines with a VM's UUID and its device's vm_id, and looks each up, in their order, several times. The floor is SQLite's own
 * C API with a prepared statement that reads the same columns.
 */

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vgpu_config.h"

#define MOST 10000
#define ROUNDS 5

#define COLUMNS                                                                                                       \
    "SELECT vms.vm_uuid, vm_name, pool_id, priority, created_at, updated_at, device_vm_id, revision, pushed_revision, " \
    "known_to_xapi, started_at, host_uuid, device_argument FROM "

static char uuids[MOST][37];
static unsigned long vm_ids[MOST];
static struct vgpu_db *db;
static sqlite3_stmt *statement;

static void fail(const char *why)
{
    fprintf(stderr, "lookup: %s\n", why);
    exit(1);
}

static void text(char *to, size_t size, int column)
{
    const unsigned char *from = sqlite3_column_text(statement, column);
    snprintf(to, size, "%s", from == NULL ? "" : (const char *)from);
}

static void floor_of(int vm, int by_uuid)
{
    struct vgpu_vm_config found;
    char started_at[20], host[37], argument[128];
    if (by_uuid)
        sqlite3_bind_text(statement, 1, uuids[vm], 36, SQLITE_STATIC);
    else
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)vm_ids[vm]);
    if (sqlite3_step(statement) != SQLITE_ROW)
        fail("not found");
    text(found.vm_uuid, sizeof found.vm_uuid, 0);
    text(found.vm_name, sizeof found.vm_name, 1);
    found.pool_id = (char)sqlite3_column_text(statement, 2)[0];
    found.priority = sqlite3_column_int(statement, 3);
    text(found.created_at, sizeof found.created_at, 4);
    text(found.updated_at, sizeof found.updated_at, 5);
    found.device_vm_id = (uint32_t)sqlite3_column_int64(statement, 6);
    found.revision = sqlite3_column_int64(statement, 7);
    found.in_xapi = sqlite3_column_int64(statement, 8) >= found.revision && sqlite3_column_int(statement, 9);
    text(started_at, sizeof started_at, 10);
    text(host, sizeof host, 11);
    text(argument, sizeof argument, 12);
    sqlite3_reset(statement);
    if (found.device_vm_id != vm_ids[vm] || started_at[0] == 0 || argument[0] == 0)
        fail("another VM");
}

static void ours(int vm, int by_uuid)
{
    struct vgpu_vm_config found;
    int code;
    found.size = sizeof found;
    if (by_uuid)
        code = vgpu_get_vm_config(db, uuids[vm], &found);
    else
        code = vgpu_get_vm_by_device_id(db, (uint32_t)vm_ids[vm], &found);
    if (code != VGPU_OK || found.device_vm_id != vm_ids[vm] || !found.start_is_current)
        fail(vgpu_last_message(db));
}

static void open_database(int is_ours, int by_uuid, const char *path)
{
    const char *by = by_uuid ? COLUMNS "vms LEFT JOIN vm_state ON vm_state.vm_uuid = vms.vm_uuid "
                                       "LEFT JOIN last_starts ON last_starts.vm_uuid = vms.vm_uuid WHERE vms.vm_uuid = ?1"
                             : COLUMNS "vm_state JOIN vms ON vms.vm_uuid = vm_state.vm_uuid "
                                       "LEFT JOIN last_starts ON last_starts.vm_uuid = vms.vm_uuid WHERE device_vm_id = ?1";
    sqlite3 *connection;
    if (is_ours && vgpu_db_init(path, VGPU_OPEN_READ_ONLY | VGPU_OPEN_DATABASE_ONLY, &db) != VGPU_OK)
        fail(vgpu_last_message(NULL));
    if (!is_ours && (sqlite3_open_v2(path, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
                     sqlite3_prepare_v2(connection, by, -1, &statement, NULL) != SQLITE_OK))
        fail("SQLite");
}

int main(int argc, char **argv)
{
    int vms = 0, vm, round, is_ours = argc > 1 && strcmp(argv[1], "ours") == 0;
    int by_uuid = argc > 2 && strcmp(argv[2], "uuid") == 0;
    struct timespec begin, end;
    if (argc != 4)
        fail("usage: lookup ours|floor uuid|vm_id DATABASE");
    while (vms < MOST && scanf("%36s %lu", uuids[vms], &vm_ids[vms]) == 2)
        vms++;
    open_database(is_ours, by_uuid, argv[3]);
    for (round = 0; round <= ROUNDS; round++) {
        /* The first round fills the cache. */
        if (round == 1)
            clock_gettime(CLOCK_MONOTONIC, &begin);
        for (vm = 0; vm < vms; vm++)
            (is_ours ? ours : floor_of)(vm, by_uuid);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.1f\n", ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / ROUNDS / vms);
    return 0;
}
