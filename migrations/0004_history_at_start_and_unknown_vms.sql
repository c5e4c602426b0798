-- The VM's newest entry in the history when it was last started; 0 where it had none, NULL for a start before this migration.
-- While XAPI is away, a guest that reboots may be about to get arguments that were the VM's at that start or since: the
-- entries that followed tell that its row has overtaken them.
ALTER TABLE last_starts ADD COLUMN history_entry INTEGER;

-- Whether XAPI knew the VM when it was last told of it. One that is yet to come, or was destroyed, it does not know.
ALTER TABLE vm_state ADD COLUMN known_to_xapi INTEGER NOT NULL DEFAULT 1;
