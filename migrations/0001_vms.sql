-- The VMs and their settings. IF NOT EXISTS, because a database that was made by hand before vgpu-config kept count of
-- schema versions is taken over as it is.
CREATE TABLE IF NOT EXISTS vms (
    vm_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    vm_uuid    TEXT UNIQUE NOT NULL,
    vm_name    TEXT,
    pool_id    CHAR(1) NOT NULL CHECK (pool_id IN ('A', 'B')),
    priority   INTEGER NOT NULL CHECK (priority IN (0, 1, 2)),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_vm_uuid ON vms (vm_uuid);
CREATE INDEX IF NOT EXISTS idx_pool ON vms (pool_id);
CREATE INDEX IF NOT EXISTS idx_priority ON vms (priority);
