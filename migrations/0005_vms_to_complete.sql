-- The VMs at which a program has to look: those that lack what only a program can fill in, and those whose row another
-- has replaced, for which no trigger fires. Without this list every program would have to read all rows to find them. It
-- may name a VM that lacks nothing, but never misses one that does. A program empties it.
CREATE TABLE vms_to_complete (
    vm_uuid TEXT PRIMARY KEY NOT NULL
);

INSERT INTO vms_to_complete
    SELECT DISTINCT lower(vms.vm_uuid) FROM vms LEFT JOIN vm_state ON vm_state.vm_uuid = lower(vms.vm_uuid)
    WHERE device_vm_id IS NULL;
INSERT INTO vms_to_complete
    SELECT vm_uuid FROM vm_state
    WHERE removed_at IS NULL AND vm_uuid NOT IN (SELECT lower(vm_uuid) FROM vms)
        AND vm_uuid NOT IN (SELECT vm_uuid FROM vms_to_complete);

-- "WHERE NOT EXISTS" instead of "OR IGNORE": the conflict clause of the statement that fires a trigger would override it.

CREATE TRIGGER vms_lack_number_insert AFTER INSERT ON vms
WHEN NOT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = lower(NEW.vm_uuid) AND device_vm_id IS NOT NULL)
BEGIN
    INSERT INTO vms_to_complete
        SELECT lower(NEW.vm_uuid) WHERE NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vm_uuid = lower(NEW.vm_uuid));
END;

CREATE TRIGGER vms_lack_number_update AFTER UPDATE OF vm_uuid ON vms
WHEN lower(NEW.vm_uuid) <> lower(OLD.vm_uuid)
    AND NOT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = lower(NEW.vm_uuid) AND device_vm_id IS NOT NULL)
BEGIN
    INSERT INTO vms_to_complete
        SELECT lower(NEW.vm_uuid) WHERE NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vm_uuid = lower(NEW.vm_uuid));
END;

-- REPLACE takes away the row that has the same vm_id.
CREATE TRIGGER vms_replaced_insert BEFORE INSERT ON vms
WHEN EXISTS (SELECT 1 FROM vms WHERE vm_id = NEW.vm_id AND vm_uuid <> lower(NEW.vm_uuid))
BEGIN
    INSERT INTO vms_to_complete
        SELECT lower(vm_uuid) FROM vms WHERE vm_id = NEW.vm_id
            AND NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vms_to_complete.vm_uuid = lower(vms.vm_uuid));
END;

-- Of any column: "SET rowid = 7" changes vm_id too.
CREATE TRIGGER vms_replaced_update BEFORE UPDATE ON vms
WHEN NEW.vm_id <> OLD.vm_id AND EXISTS (SELECT 1 FROM vms WHERE vm_id = NEW.vm_id)
BEGIN
    INSERT INTO vms_to_complete
        SELECT lower(vm_uuid) FROM vms WHERE vm_id = NEW.vm_id
            AND NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vms_to_complete.vm_uuid = lower(vms.vm_uuid));
END;

-- The programs' own table may be edited too, and REPLACE takes away the row that has the same number.

CREATE TRIGGER vm_state_inserted AFTER INSERT ON vm_state
WHEN CASE WHEN EXISTS (SELECT 1 FROM vms WHERE vm_uuid = NEW.vm_uuid)
    THEN NEW.device_vm_id IS NULL ELSE NEW.removed_at IS NULL END
BEGIN
    INSERT INTO vms_to_complete
        SELECT NEW.vm_uuid WHERE NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vm_uuid = NEW.vm_uuid);
END;

CREATE TRIGGER vm_state_lacks_something AFTER UPDATE OF vm_uuid, device_vm_id, removed_at ON vm_state
WHEN CASE WHEN EXISTS (SELECT 1 FROM vms WHERE vm_uuid = NEW.vm_uuid)
    THEN NEW.device_vm_id IS NULL ELSE NEW.removed_at IS NULL END
BEGIN
    INSERT INTO vms_to_complete
        SELECT NEW.vm_uuid WHERE NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vm_uuid = NEW.vm_uuid);
END;

CREATE TRIGGER vm_state_lacks_nothing AFTER UPDATE OF vm_uuid, device_vm_id, removed_at ON vm_state
WHEN CASE WHEN EXISTS (SELECT 1 FROM vms WHERE vm_uuid = NEW.vm_uuid)
    THEN NEW.device_vm_id IS NOT NULL ELSE NEW.removed_at IS NOT NULL END
BEGIN
    DELETE FROM vms_to_complete WHERE vm_uuid = NEW.vm_uuid;
END;

CREATE TRIGGER vm_state_other_uuid AFTER UPDATE OF vm_uuid ON vm_state
WHEN NEW.vm_uuid <> OLD.vm_uuid
BEGIN
    INSERT INTO vms_to_complete
        SELECT OLD.vm_uuid WHERE NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vm_uuid = OLD.vm_uuid);
END;

CREATE TRIGGER vm_state_deleted AFTER DELETE ON vm_state
WHEN EXISTS (SELECT 1 FROM vms WHERE vm_uuid = OLD.vm_uuid)
BEGIN
    INSERT INTO vms_to_complete
        SELECT OLD.vm_uuid WHERE NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vm_uuid = OLD.vm_uuid);
END;

CREATE TRIGGER vm_state_replaced_insert BEFORE INSERT ON vm_state
WHEN EXISTS (SELECT 1 FROM vm_state WHERE device_vm_id = NEW.device_vm_id)
BEGIN
    INSERT INTO vms_to_complete
        SELECT vm_uuid FROM vm_state WHERE device_vm_id = NEW.device_vm_id
            AND NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vms_to_complete.vm_uuid = vm_state.vm_uuid);
END;

CREATE TRIGGER vm_state_replaced_update BEFORE UPDATE OF device_vm_id ON vm_state
WHEN EXISTS (SELECT 1 FROM vm_state WHERE device_vm_id = NEW.device_vm_id AND vm_uuid <> NEW.vm_uuid)
BEGIN
    INSERT INTO vms_to_complete
        SELECT vm_uuid FROM vm_state WHERE device_vm_id = NEW.device_vm_id AND vm_uuid <> NEW.vm_uuid
            AND NOT EXISTS (SELECT 1 FROM vms_to_complete WHERE vms_to_complete.vm_uuid = vm_state.vm_uuid);
END;

-- The same UUID in other letters is the same VM, whatever statement writes it.
CREATE TRIGGER vms_lower_case_update AFTER UPDATE OF vm_uuid ON vms
WHEN NEW.vm_uuid <> lower(NEW.vm_uuid) AND lower(NEW.vm_uuid) = lower(OLD.vm_uuid)
BEGIN
    UPDATE vms SET vm_uuid = lower(vm_uuid) WHERE vm_id = NEW.vm_id;
END;
CREATE TRIGGER vms_refuse_same_uuid_update BEFORE UPDATE OF vm_uuid ON vms
WHEN NEW.vm_uuid <> lower(NEW.vm_uuid)
    AND EXISTS (SELECT 1 FROM vms WHERE vm_uuid = lower(NEW.vm_uuid) AND vm_id <> OLD.vm_id)
BEGIN
    SELECT RAISE(ABORT, 'vm_uuid is registered already, in lower case');
END;
