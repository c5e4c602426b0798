INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES ('CDA8BCD3-F410-BD1F-3688-8C308FF28E90', 'web01', 'A', 2);
INSERT INTO vms (vm_uuid, vm_name, pool_id, priority)
    VALUES ('00000001-0000-4000-8000-000000000001', 'O''Brien "db" <&>; -- ünïcödé 漢字', 'B', 1);
INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES ('00000002-0000-4000-8000-000000000002', 'a tab	and
a second line', 'A', 0);
INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('00000005-0000-4000-8000-000000000005', 'B', 0);
INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('00000009-0000-4000-8000-000000000009', 'B', 2);
UPDATE vms SET pool_id = 'A' WHERE vm_uuid = '00000001-0000-4000-8000-000000000001';
DELETE FROM vms WHERE vm_uuid = '00000009-0000-4000-8000-000000000009';
