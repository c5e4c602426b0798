-- The GPU pools: a name and a description for people, and how many VMs a GPU pool may have.
CREATE TABLE gpu_pools (
    pool_id     CHAR(1) PRIMARY KEY NOT NULL CHECK (pool_id IN ('A', 'B')),
    name        TEXT,
    description TEXT,
    -- NULL for any number.
    max_vms     INTEGER CHECK (max_vms IS NULL OR (typeof(max_vms) = 'integer' AND max_vms BETWEEN 0 AND 4294967295)),
    updated_at  TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO gpu_pools (pool_id) VALUES ('A');
INSERT INTO gpu_pools (pool_id) VALUES ('B');

-- The physical GPUs that serve a GPU pool.
CREATE TABLE gpus (
    host_uuid   TEXT NOT NULL,
    pci_address TEXT NOT NULL,
    pool_id     CHAR(1) NOT NULL CHECK (pool_id IN ('A', 'B')),
    -- For people.
    device_name TEXT,
    created_at  TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at  TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (host_uuid, pci_address)
);

-- What the programs keep about each of them: "pool:A", or "gpu:" with the host's UUID and the PCI address. The row of a GPU
-- outlives the one in "gpus".
CREATE TABLE gpu_state (
    subject         TEXT PRIMARY KEY NOT NULL,
    -- Counts the changes, removal and return included.
    revision        INTEGER NOT NULL DEFAULT 0,
    -- The revision that XAPI was last told.
    pushed_revision INTEGER NOT NULL DEFAULT 0,
    -- When the GPU was removed from "gpus"; NULL while it serves a GPU pool.
    removed_at      TIMESTAMP
);
INSERT INTO gpu_state (subject) VALUES ('pool:A');
INSERT INTO gpu_state (subject) VALUES ('pool:B');

-- Who changed what, as in "history".
CREATE TABLE gpu_history (
    entry_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    changed_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    subject         TEXT NOT NULL,
    through         TEXT NOT NULL DEFAULT 'by hand',
    changed_by      TEXT,
    -- The GPU pool that a GPU served; NULL for none, and where a GPU pool itself was changed.
    old_pool_id     TEXT,
    old_name        TEXT,
    old_description TEXT,
    old_max_vms     INTEGER,
    new_pool_id     TEXT,
    new_name        TEXT,
    new_description TEXT,
    new_max_vms     INTEGER
);
CREATE INDEX idx_gpu_history_subject ON gpu_history (subject);

CREATE TRIGGER gpus_refuse_bad_host_insert BEFORE INSERT ON gpus
WHEN NEW.host_uuid NOT GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
BEGIN
    SELECT RAISE(ABORT, 'host_uuid must be the UUID of a host, in lower case (see xe host-list)');
END;
CREATE TRIGGER gpus_refuse_bad_host_update BEFORE UPDATE OF host_uuid ON gpus
WHEN NEW.host_uuid NOT GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
BEGIN
    SELECT RAISE(ABORT, 'host_uuid must be the UUID of a host, in lower case (see xe host-list)');
END;

CREATE TRIGGER gpus_refuse_bad_address_insert BEFORE INSERT ON gpus
WHEN NEW.pci_address NOT GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[01][0-9a-f].[0-7]'
BEGIN
    SELECT RAISE(ABORT, 'pci_address must be a PCI address such as 0000:81:00.0, in lower case (see vgpu-admin scan-gpus)');
END;
CREATE TRIGGER gpus_refuse_bad_address_update BEFORE UPDATE OF pci_address ON gpus
WHEN NEW.pci_address NOT GLOB '[0-9a-f][0-9a-f][0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[01][0-9a-f].[0-7]'
BEGIN
    SELECT RAISE(ABORT, 'pci_address must be a PCI address such as 0000:81:00.0, in lower case (see vgpu-admin scan-gpus)');
END;

CREATE TRIGGER gpus_inserted AFTER INSERT ON gpus
BEGIN
    INSERT INTO gpu_state (subject)
        SELECT 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address
        WHERE NOT EXISTS (SELECT 1 FROM gpu_state WHERE subject = 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address);
    UPDATE gpu_state SET revision = revision + 1, removed_at = NULL
        WHERE subject = 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address;
    -- REPLACE takes the row that was there away and fires no trigger for that: the newest entry knows what it had.
    INSERT INTO gpu_history (subject, old_pool_id, new_pool_id)
        SELECT subject, (SELECT new_pool_id FROM gpu_history WHERE entry_id = newest.entry_id), NEW.pool_id
        FROM (SELECT 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address AS subject,
                     (SELECT max(entry_id) FROM gpu_history
                      WHERE subject = 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address) AS entry_id) AS newest;
END;

CREATE TRIGGER gpus_pool_changed AFTER UPDATE OF host_uuid, pci_address, pool_id ON gpus
WHEN NEW.host_uuid = OLD.host_uuid AND NEW.pci_address = OLD.pci_address AND NEW.pool_id <> OLD.pool_id
BEGIN
    UPDATE gpu_state SET revision = revision + 1 WHERE subject = 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address;
    INSERT INTO gpu_history (subject, old_pool_id, new_pool_id)
        VALUES ('gpu:' || NEW.host_uuid || ':' || NEW.pci_address, OLD.pool_id, NEW.pool_id);
END;

-- Another host or address is another GPU.
CREATE TRIGGER gpus_other_gpu AFTER UPDATE OF host_uuid, pci_address ON gpus
WHEN NEW.host_uuid <> OLD.host_uuid OR NEW.pci_address <> OLD.pci_address
BEGIN
    UPDATE gpu_state SET revision = revision + 1, removed_at = CURRENT_TIMESTAMP
        WHERE subject = 'gpu:' || OLD.host_uuid || ':' || OLD.pci_address;
    INSERT INTO gpu_history (subject, old_pool_id) VALUES ('gpu:' || OLD.host_uuid || ':' || OLD.pci_address, OLD.pool_id);
    INSERT INTO gpu_state (subject)
        SELECT 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address
        WHERE NOT EXISTS (SELECT 1 FROM gpu_state WHERE subject = 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address);
    UPDATE gpu_state SET revision = revision + 1, removed_at = NULL
        WHERE subject = 'gpu:' || NEW.host_uuid || ':' || NEW.pci_address;
    INSERT INTO gpu_history (subject, new_pool_id) VALUES ('gpu:' || NEW.host_uuid || ':' || NEW.pci_address, NEW.pool_id);
END;

CREATE TRIGGER gpus_touched AFTER UPDATE OF host_uuid, pci_address, pool_id ON gpus
WHEN NEW.updated_at IS OLD.updated_at
    AND (NEW.host_uuid <> OLD.host_uuid OR NEW.pci_address <> OLD.pci_address OR NEW.pool_id <> OLD.pool_id)
BEGIN
    UPDATE gpus SET updated_at = CURRENT_TIMESTAMP WHERE host_uuid = NEW.host_uuid AND pci_address = NEW.pci_address;
END;

CREATE TRIGGER gpus_deleted AFTER DELETE ON gpus
BEGIN
    UPDATE gpu_state SET revision = revision + 1, removed_at = CURRENT_TIMESTAMP
        WHERE subject = 'gpu:' || OLD.host_uuid || ':' || OLD.pci_address;
    INSERT INTO gpu_history (subject, old_pool_id) VALUES ('gpu:' || OLD.host_uuid || ':' || OLD.pci_address, OLD.pool_id);
END;

CREATE TRIGGER gpu_pools_refuse_delete BEFORE DELETE ON gpu_pools
BEGIN
    SELECT RAISE(ABORT, 'there are always the GPU pools A and B: set name, description and max_vms to NULL instead');
END;
CREATE TRIGGER gpu_pools_refuse_other_pool BEFORE UPDATE OF pool_id ON gpu_pools
WHEN NEW.pool_id IS NOT OLD.pool_id
BEGIN
    SELECT RAISE(ABORT, 'there are always the GPU pools A and B: change name, description and max_vms instead');
END;

CREATE TRIGGER gpu_pools_refuse_bad_text_insert BEFORE INSERT ON gpu_pools
WHEN (NEW.name IS NOT NULL AND (typeof(NEW.name) = 'blob' OR trim(NEW.name) = '' OR length(NEW.name) > 64
        OR NEW.name GLOB '*[' || char(1, 45, 31, 127, 45, 159, 65534, 65535) || ']*'))
    OR (NEW.description IS NOT NULL AND (typeof(NEW.description) = 'blob' OR trim(NEW.description) = ''
        OR length(NEW.description) > 256
        OR NEW.description GLOB '*[' || char(1, 45, 31, 127, 45, 159, 65534, 65535) || ']*'))
BEGIN
    SELECT RAISE(ABORT, 'name must be 1 to 64 characters and description 1 to 256, on one line; NULL for none');
END;
CREATE TRIGGER gpu_pools_refuse_bad_text_update BEFORE UPDATE OF name, description ON gpu_pools
WHEN (NEW.name IS NOT NULL AND (typeof(NEW.name) = 'blob' OR trim(NEW.name) = '' OR length(NEW.name) > 64
        OR NEW.name GLOB '*[' || char(1, 45, 31, 127, 45, 159, 65534, 65535) || ']*'))
    OR (NEW.description IS NOT NULL AND (typeof(NEW.description) = 'blob' OR trim(NEW.description) = ''
        OR length(NEW.description) > 256
        OR NEW.description GLOB '*[' || char(1, 45, 31, 127, 45, 159, 65534, 65535) || ']*'))
BEGIN
    SELECT RAISE(ABORT, 'name must be 1 to 64 characters and description 1 to 256, on one line; NULL for none');
END;

-- Only REPLACE inserts a row: both are there.
CREATE TRIGGER gpu_pools_inserted AFTER INSERT ON gpu_pools
BEGIN
    INSERT INTO gpu_state (subject)
        SELECT 'pool:' || NEW.pool_id WHERE NOT EXISTS (SELECT 1 FROM gpu_state WHERE subject = 'pool:' || NEW.pool_id);
    UPDATE gpu_state SET revision = revision + 1 WHERE subject = 'pool:' || NEW.pool_id;
    INSERT INTO gpu_history (subject, old_name, old_description, old_max_vms, new_name, new_description, new_max_vms)
        SELECT 'pool:' || NEW.pool_id, last.new_name, last.new_description, last.new_max_vms,
               NEW.name, NEW.description, NEW.max_vms
        FROM (SELECT max(entry_id) AS entry_id FROM gpu_history WHERE subject = 'pool:' || NEW.pool_id) AS newest
        LEFT JOIN gpu_history AS last ON last.entry_id = newest.entry_id;
END;

CREATE TRIGGER gpu_pools_changed AFTER UPDATE OF name, description, max_vms ON gpu_pools
WHEN NEW.name IS NOT OLD.name OR NEW.description IS NOT OLD.description OR NEW.max_vms IS NOT OLD.max_vms
BEGIN
    UPDATE gpu_state SET revision = revision + 1 WHERE subject = 'pool:' || NEW.pool_id;
    INSERT INTO gpu_history (subject, old_name, old_description, old_max_vms, new_name, new_description, new_max_vms)
        VALUES ('pool:' || NEW.pool_id, OLD.name, OLD.description, OLD.max_vms, NEW.name, NEW.description, NEW.max_vms);
END;

CREATE TRIGGER gpu_pools_touched AFTER UPDATE OF name, description, max_vms ON gpu_pools
WHEN NEW.updated_at IS OLD.updated_at
    AND (NEW.name IS NOT OLD.name OR NEW.description IS NOT OLD.description OR NEW.max_vms IS NOT OLD.max_vms)
BEGIN
    UPDATE gpu_pools SET updated_at = CURRENT_TIMESTAMP WHERE pool_id = NEW.pool_id;
END;
