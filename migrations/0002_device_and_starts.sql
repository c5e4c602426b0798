-- What the programs keep about a VM beyond its settings. It has a table of its own, so that "vms" stays as people know
-- it, and the row outlives the one in "vms": a removed VM keeps its device's number and the fact that it was removed.
--
-- Everything here is read by SQLite 3.7.17, which is what dom0's own sqlite3 shell is: no STRICT, no WITHOUT ROWID, no
-- partial or expression index, no generated column, no upsert.
CREATE TABLE vm_state (
    vm_uuid         TEXT PRIMARY KEY NOT NULL,
    -- The number by which the device knows the VM. NULL until the first program sees the row and derives it.
    device_vm_id    INTEGER UNIQUE CHECK (device_vm_id IS NULL
                        OR (typeof(device_vm_id) = 'integer' AND device_vm_id BETWEEN 1 AND 4294967295)),
    -- Counts the changes of what the device is told, removal and return included.
    revision        INTEGER NOT NULL DEFAULT 0,
    -- The revision that XAPI was last told.
    pushed_revision INTEGER NOT NULL DEFAULT 0,
    -- When the VM was removed from "vms"; NULL while it is registered.
    removed_at      TIMESTAMP
);

-- What a VM's last start was given.
CREATE TABLE last_starts (
    vm_uuid         TEXT PRIMARY KEY NOT NULL,
    started_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    host_uuid       TEXT NOT NULL,
    -- The device's argument as QEMU got it; empty where it got none.
    device_argument TEXT NOT NULL
);

-- Rows that were there before this migration. One that is no UUID, or stands there twice, stays: check names it.
UPDATE OR IGNORE vms SET vm_uuid = lower(vm_uuid)
    WHERE vm_uuid <> lower(vm_uuid)
    AND lower(vm_uuid) GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]';
INSERT INTO vm_state (vm_uuid, revision)
    SELECT DISTINCT lower(vm_uuid), 1 FROM vms
    WHERE lower(vm_uuid) GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]';

-- A row that is inserted, changed or deleted by hand with the sqlite3 shell counts as much as one that a program wrote.

CREATE TRIGGER vms_refuse_bad_uuid_insert BEFORE INSERT ON vms
WHEN lower(NEW.vm_uuid) NOT GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
BEGIN
    SELECT RAISE(ABORT, 'vm_uuid must be a UUID such as 0f6b1b7e-9d5c-4c0e-8a53-1d2f3a4b5c6d (see xe vm-list)');
END;

CREATE TRIGGER vms_refuse_bad_uuid_update BEFORE UPDATE OF vm_uuid ON vms
WHEN lower(NEW.vm_uuid) NOT GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
BEGIN
    SELECT RAISE(ABORT, 'vm_uuid must be a UUID such as 0f6b1b7e-9d5c-4c0e-8a53-1d2f3a4b5c6d (see xe vm-list)');
END;

-- No "OR IGNORE" inside: the conflict clause of the statement that fires a trigger would override it.
CREATE TRIGGER vms_inserted AFTER INSERT ON vms
BEGIN
    UPDATE vms SET vm_uuid = lower(vm_uuid) WHERE vm_id = NEW.vm_id AND vm_uuid <> lower(vm_uuid);
    INSERT INTO vm_state (vm_uuid)
        SELECT lower(NEW.vm_uuid) WHERE NOT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = lower(NEW.vm_uuid));
    UPDATE vm_state SET revision = revision + 1, removed_at = NULL WHERE vm_uuid = lower(NEW.vm_uuid);
END;

CREATE TRIGGER vms_settings_changed AFTER UPDATE OF pool_id, priority ON vms
WHEN NEW.pool_id <> OLD.pool_id OR NEW.priority <> OLD.priority
BEGIN
    UPDATE vm_state SET revision = revision + 1 WHERE vm_uuid = lower(NEW.vm_uuid);
END;

CREATE TRIGGER vms_touched AFTER UPDATE OF vm_uuid, vm_name, pool_id, priority ON vms
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE vms SET updated_at = CURRENT_TIMESTAMP WHERE vm_id = NEW.vm_id;
END;

-- Another UUID is another VM: the old one is removed, the new one registered.
CREATE TRIGGER vms_uuid_changed AFTER UPDATE OF vm_uuid ON vms
WHEN lower(NEW.vm_uuid) <> lower(OLD.vm_uuid)
BEGIN
    UPDATE vms SET vm_uuid = lower(vm_uuid) WHERE vm_id = NEW.vm_id AND vm_uuid <> lower(vm_uuid);
    UPDATE vm_state SET revision = revision + 1, removed_at = CURRENT_TIMESTAMP WHERE vm_uuid = lower(OLD.vm_uuid);
    INSERT INTO vm_state (vm_uuid)
        SELECT lower(NEW.vm_uuid) WHERE NOT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = lower(NEW.vm_uuid));
    UPDATE vm_state SET revision = revision + 1, removed_at = NULL WHERE vm_uuid = lower(NEW.vm_uuid);
END;

CREATE TRIGGER vms_deleted AFTER DELETE ON vms
BEGIN
    UPDATE vm_state SET revision = revision + 1, removed_at = CURRENT_TIMESTAMP WHERE vm_uuid = lower(OLD.vm_uuid);
    DELETE FROM last_starts WHERE vm_uuid = lower(OLD.vm_uuid);
END;

-- Deriving the number the first time changes nothing that anybody set; choosing another one does. A removed VM whose
-- number is given to another has not changed.
CREATE TRIGGER vm_state_number_changed AFTER UPDATE OF device_vm_id ON vm_state
WHEN OLD.device_vm_id IS NOT NULL AND NEW.device_vm_id IS NOT OLD.device_vm_id
    AND (NEW.device_vm_id IS NOT NULL OR NEW.removed_at IS NULL)
BEGIN
    UPDATE vm_state SET revision = revision + 1 WHERE vm_uuid = NEW.vm_uuid;
    UPDATE vms SET updated_at = CURRENT_TIMESTAMP WHERE vm_uuid = NEW.vm_uuid;
END;
