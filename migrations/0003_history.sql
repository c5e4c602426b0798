-- Who changed what: one row for every change of what a VM's device is told, the newest 10,000 unless vgpu.toml says otherwise.
CREATE TABLE history (
    entry_id         INTEGER PRIMARY KEY AUTOINCREMENT,
    changed_at       TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    vm_uuid          TEXT NOT NULL,
    vm_name          TEXT,
    -- What the change came through. A program names itself; nobody else does.
    through          TEXT NOT NULL DEFAULT 'by hand',
    -- The user, where a program knows one.
    changed_by       TEXT,
    -- What the VM had; NULL where it was not registered.
    old_pool_id      TEXT,
    old_priority     INTEGER,
    old_device_vm_id INTEGER,
    -- What it has since; NULL where it was removed. The device's number is filled in when it is derived.
    new_pool_id      TEXT,
    new_priority     INTEGER,
    new_device_vm_id INTEGER
);
CREATE INDEX idx_history_vm_uuid ON history (vm_uuid);

-- REPLACE takes the row that was there away and fires no trigger for that: the newest entry knows what it had.
CREATE TRIGGER history_of_registration AFTER INSERT ON vms
BEGIN
    INSERT INTO history (vm_uuid, vm_name, old_pool_id, old_priority, old_device_vm_id,
                         new_pool_id, new_priority, new_device_vm_id)
        SELECT lower(NEW.vm_uuid), NEW.vm_name, last.new_pool_id, last.new_priority, last.new_device_vm_id,
               NEW.pool_id, NEW.priority, (SELECT device_vm_id FROM vm_state WHERE vm_uuid = lower(NEW.vm_uuid))
        FROM (SELECT max(entry_id) AS entry_id FROM history WHERE vm_uuid = lower(NEW.vm_uuid)) AS newest
        LEFT JOIN history AS last ON last.entry_id = newest.entry_id;
END;

CREATE TRIGGER history_of_change AFTER UPDATE OF vm_uuid, pool_id, priority ON vms
WHEN lower(NEW.vm_uuid) = lower(OLD.vm_uuid) AND (NEW.pool_id <> OLD.pool_id OR NEW.priority <> OLD.priority)
BEGIN
    INSERT INTO history (vm_uuid, vm_name, old_pool_id, old_priority, old_device_vm_id,
                         new_pool_id, new_priority, new_device_vm_id)
        SELECT lower(NEW.vm_uuid), NEW.vm_name, OLD.pool_id, OLD.priority, number, NEW.pool_id, NEW.priority, number
        FROM (SELECT (SELECT device_vm_id FROM vm_state WHERE vm_uuid = lower(NEW.vm_uuid)) AS number);
END;

-- Another UUID is another VM: the old one is removed, the new one registered.
CREATE TRIGGER history_of_other_uuid AFTER UPDATE OF vm_uuid ON vms
WHEN lower(NEW.vm_uuid) <> lower(OLD.vm_uuid)
BEGIN
    INSERT INTO history (vm_uuid, vm_name, old_pool_id, old_priority, old_device_vm_id)
        VALUES (lower(OLD.vm_uuid), OLD.vm_name, OLD.pool_id, OLD.priority,
                (SELECT device_vm_id FROM vm_state WHERE vm_uuid = lower(OLD.vm_uuid)));
    INSERT INTO history (vm_uuid, vm_name, new_pool_id, new_priority, new_device_vm_id)
        VALUES (lower(NEW.vm_uuid), NEW.vm_name, NEW.pool_id, NEW.priority,
                (SELECT device_vm_id FROM vm_state WHERE vm_uuid = lower(NEW.vm_uuid)));
END;

CREATE TRIGGER history_of_removal AFTER DELETE ON vms
BEGIN
    INSERT INTO history (vm_uuid, vm_name, old_pool_id, old_priority, old_device_vm_id)
        VALUES (lower(OLD.vm_uuid), OLD.vm_name, OLD.pool_id, OLD.priority,
                (SELECT device_vm_id FROM vm_state WHERE vm_uuid = lower(OLD.vm_uuid)));
END;

CREATE TRIGGER history_of_other_number AFTER UPDATE OF device_vm_id ON vm_state
WHEN OLD.device_vm_id IS NOT NULL AND NEW.device_vm_id IS NOT OLD.device_vm_id
BEGIN
    INSERT INTO history (vm_uuid, vm_name, old_pool_id, old_priority, old_device_vm_id,
                         new_pool_id, new_priority, new_device_vm_id)
        SELECT NEW.vm_uuid, vm_name, pool_id, priority, OLD.device_vm_id, pool_id, priority, NEW.device_vm_id
        FROM vms WHERE vms.vm_uuid = NEW.vm_uuid;
END;

-- Deriving a number is nobody's change: it belongs to the registration that lacked it.
CREATE TRIGGER history_of_derived_number AFTER UPDATE OF device_vm_id ON vm_state
WHEN OLD.device_vm_id IS NULL AND NEW.device_vm_id IS NOT NULL
BEGIN
    UPDATE history SET new_device_vm_id = NEW.device_vm_id
        WHERE vm_uuid = NEW.vm_uuid AND new_pool_id IS NOT NULL AND new_device_vm_id IS NULL;
END;

-- What the last start was given is kept when a VM is removed: until it is started again, it has its vGPU.
DROP TRIGGER vms_deleted;
CREATE TRIGGER vms_deleted AFTER DELETE ON vms
BEGIN
    UPDATE vm_state SET revision = revision + 1, removed_at = CURRENT_TIMESTAMP WHERE vm_uuid = lower(OLD.vm_uuid);
END;

-- The same UUID in other letters is the same VM. Where a conflict clause lets the row in, it would stand there twice.
CREATE TRIGGER vms_refuse_same_uuid BEFORE INSERT ON vms
WHEN NEW.vm_uuid <> lower(NEW.vm_uuid) AND EXISTS (SELECT 1 FROM vms WHERE vm_uuid = lower(NEW.vm_uuid))
BEGIN
    SELECT RAISE(ABORT, 'vm_uuid is registered already, in lower case');
END;

-- A name is for people. "updated_at" decides between two hosts that changed a VM's settings equally often, so it tells when
-- those were changed.
DROP TRIGGER vms_touched;
CREATE TRIGGER vms_touched AFTER UPDATE OF vm_uuid, pool_id, priority ON vms
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE vms SET updated_at = CURRENT_TIMESTAMP WHERE vm_id = NEW.vm_id;
END;
