CREATE TABLE vms (
    vm_id INTEGER PRIMARY KEY AUTOINCREMENT,
    vm_uuid TEXT UNIQUE NOT NULL,
    vm_name TEXT,
    pool_id CHAR(1) NOT NULL CHECK (pool_id IN ('A', 'B')),
    priority INTEGER NOT NULL CHECK (priority IN (0, 1, 2)),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
