-- The VM's newest entry in the history when it was last started; 0 where it had none, NULL for a start before this migration.
-- While XAPI is away, a guest that reboots may be about to get arguments that were the VM's at that start or since: the
-- entries that followed tell that its row has overtaken them.
ALTER TABLE last_starts ADD COLUMN history_entry INTEGER;
