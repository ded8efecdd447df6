BEGIN TRANSACTION;
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    type TEXT NOT NULL CHECK (length(type) > 0),
    subject TEXT CHECK (length(subject) = 36),
    time INTEGER NOT NULL,
    data TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1))
) STRICT;
INSERT INTO "events" VALUES(1,'compute.instance.spawn.start','dae537da-c62e-5de1-a87e-a02c27deb2da',1795283755260221,'{"request_id":"req-1","operation_id":"32e171e6-6edc-4ca4-a470-75b03192d715","generation":1}',0);
INSERT INTO "events" VALUES(2,'compute.instance.spawn.start','59a29cb6-86cc-589e-99e5-20429a6f312a',1795283755275192,'{"request_id":"req-1","operation_id":"97cb1bcd-c6f5-4ddd-8f27-4f36d9ccb6d5","generation":1}',0);
INSERT INTO "events" VALUES(3,'compute.instance.spawn.start','7b3177db-f87d-5e6f-9f53-364fea6053f7',1795283755301836,'{"request_id":"req-1","operation_id":"a4c68968-5fa5-4bfd-b556-582097ab20ae","generation":1}',0);
INSERT INTO "events" VALUES(4,'compute.instance.spawn.start','bddab5ed-a477-52b5-b59a-8c4d37e815a0',1795283755324544,'{"request_id":"req-1","operation_id":"18f99e6a-6b08-419e-9e94-dec8430fee52","generation":1}',0);
INSERT INTO "events" VALUES(5,'compute.instance.spawn.start','a9221864-2f32-5774-a4e4-a28ab2c7e842',1795283755360837,'{"request_id":"req-1","operation_id":"3d16cf79-2f79-41e6-8b31-4b116c28fc18","generation":1}',0);
INSERT INTO "events" VALUES(6,'compute.instance.spawn.start','a866cc76-6a35-5eda-afbd-2360513b83fd',1795283755397548,'{"request_id":"req-1","operation_id":"81d66bb5-cb17-4aaa-b639-3c97b308bf1f","generation":1}',0);
INSERT INTO "events" VALUES(7,'compute.instance.spawn.error','a866cc76-6a35-5eda-afbd-2360513b83fd',1795283755416652,'{"error":{"code":"timed_out","message":"domains.start was told to fail (after)","retryable":false,"details":{},"incident":null},"request_id":"req-1","operation_id":"81d66bb5-cb17-4aaa-b639-3c97b308bf1f","generation":1}',0);
INSERT INTO "events" VALUES(8,'compute.instance.spawn.start','20f65820-b409-50ff-a818-be3c7f4f0265',1795283755425082,'{"request_id":"req-1","operation_id":"e4f5feba-f550-4a78-a47c-acc7fdd10f5c","generation":1}',0);
INSERT INTO "events" VALUES(9,'compute.instance.spawn.end','20f65820-b409-50ff-a818-be3c7f4f0265',1795283755445359,'{"operation_id":"e4f5feba-f550-4a78-a47c-acc7fdd10f5c","instance_uuid":"20f65820-b409-50ff-a818-be3c7f4f0265","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(10,'compute.instance.spawn.start','04271a9e-cc9a-58c7-8016-90aaa1323757',1795283755448855,'{"request_id":"req-1","operation_id":"77f7392a-2516-477f-8ee7-451a89bb5a36","generation":1}',0);
INSERT INTO "events" VALUES(11,'compute.instance.spawn.end','04271a9e-cc9a-58c7-8016-90aaa1323757',1795283755470868,'{"operation_id":"77f7392a-2516-477f-8ee7-451a89bb5a36","instance_uuid":"04271a9e-cc9a-58c7-8016-90aaa1323757","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(12,'compute.instance.attach_volume.start','04271a9e-cc9a-58c7-8016-90aaa1323757',1795283755480213,'{"request_id":"req-1","operation_id":"3e475b13-17e5-4839-b2da-210e9b8f0486","generation":2}',0);
INSERT INTO "events" VALUES(13,'compute.instance.spawn.start','18b2fb47-a188-5cfa-a159-041e1ccd5d49',1795283755493136,'{"request_id":"req-1","operation_id":"a83976dc-4f35-45e4-86c8-574e8993127d","generation":1}',0);
INSERT INTO "events" VALUES(14,'compute.instance.spawn.end','18b2fb47-a188-5cfa-a159-041e1ccd5d49',1795283755517542,'{"operation_id":"a83976dc-4f35-45e4-86c8-574e8993127d","instance_uuid":"18b2fb47-a188-5cfa-a159-041e1ccd5d49","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(15,'compute.instance.attach_volume.start','18b2fb47-a188-5cfa-a159-041e1ccd5d49',1795283755523257,'{"request_id":"req-1","operation_id":"3dd5ab2d-5083-4729-b4b1-67c9531af258","generation":2}',0);
INSERT INTO "events" VALUES(16,'compute.instance.spawn.start','e928e3f4-c56e-5e57-9d09-687b6d837a75',1795283755547069,'{"request_id":"req-1","operation_id":"83c9fe73-97c3-4c70-be99-d6c9873a4972","generation":1}',0);
INSERT INTO "events" VALUES(17,'compute.instance.spawn.end','e928e3f4-c56e-5e57-9d09-687b6d837a75',1795283755572248,'{"operation_id":"83c9fe73-97c3-4c70-be99-d6c9873a4972","instance_uuid":"e928e3f4-c56e-5e57-9d09-687b6d837a75","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(18,'compute.instance.attach_volume.start','e928e3f4-c56e-5e57-9d09-687b6d837a75',1795283755580109,'{"request_id":"req-1","operation_id":"ccd2c276-9657-4bae-8f78-239a9f45a0c6","generation":2}',0);
INSERT INTO "events" VALUES(19,'compute.instance.attach_volume.error','e928e3f4-c56e-5e57-9d09-687b6d837a75',1795283755597491,'{"error":{"code":"operation_stuck","message":"attach_volume: step connect could not be undone: volumes.disconnect was told to fail (before)","retryable":false,"details":{"step":"connect"},"incident":null},"request_id":"req-1","operation_id":"ccd2c276-9657-4bae-8f78-239a9f45a0c6","generation":2}',0);
INSERT INTO "events" VALUES(20,'compute.instance.spawn.start','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795283755608419,'{"request_id":"req-1","operation_id":"c1998bc7-0215-4cbb-af63-b2fa1bfc5358","generation":1}',0);
INSERT INTO "events" VALUES(21,'compute.instance.spawn.end','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795283755634267,'{"operation_id":"c1998bc7-0215-4cbb-af63-b2fa1bfc5358","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(22,'compute.instance.attach_volume.start','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795283755640169,'{"request_id":"req-1","operation_id":"60e6132f-73af-4a9a-95e6-e0cb6ba8cc94","generation":2}',0);
INSERT INTO "events" VALUES(23,'compute.instance.attach_volume.end','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795283755655165,'{"operation_id":"60e6132f-73af-4a9a-95e6-e0cb6ba8cc94","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":2,"power_state":"running","already":false,"attached":"vol-detaching-more","request_id":"req-1"}',0);
INSERT INTO "events" VALUES(24,'compute.instance.detach_volume.start','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795283755664322,'{"request_id":"req-1","operation_id":"65420e51-8463-4774-a2a4-7e0a746e0c71","generation":3}',0);
INSERT INTO "events" VALUES(25,'compute.instance.spawn.start','160d7db4-5182-5760-8969-4a40a75333a8',1795283755857686,'{"request_id":"req-1","operation_id":"03b122a4-2bbd-475a-b5c0-113c12c941f4","generation":1}',0);
INSERT INTO "events" VALUES(26,'compute.instance.spawn.end','160d7db4-5182-5760-8969-4a40a75333a8',1795283755885465,'{"operation_id":"03b122a4-2bbd-475a-b5c0-113c12c941f4","instance_uuid":"160d7db4-5182-5760-8969-4a40a75333a8","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(27,'compute.instance.attach_interface.start','160d7db4-5182-5760-8969-4a40a75333a8',1795283755891346,'{"request_id":"req-1","operation_id":"55c0f93b-fa35-406d-92c4-cafb9f33e28a","generation":2}',0);
INSERT INTO "events" VALUES(28,'compute.instance.spawn.start','9b88ca28-fb29-5546-8ec0-f9b4f3cde588',1795283755904414,'{"request_id":"req-1","operation_id":"c28476fd-2cf7-4c23-8f1e-cf66dc228ffe","generation":1}',0);
INSERT INTO "events" VALUES(29,'compute.instance.spawn.end','9b88ca28-fb29-5546-8ec0-f9b4f3cde588',1795283755926928,'{"operation_id":"c28476fd-2cf7-4c23-8f1e-cf66dc228ffe","instance_uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(30,'compute.instance.destroy.start','9b88ca28-fb29-5546-8ec0-f9b4f3cde588',1795283755934139,'{"request_id":"req-1","operation_id":"3c54693a-73ad-47a9-9302-a7ee0e1ec22c","generation":2}',0);
INSERT INTO "events" VALUES(31,'compute.instance.spawn.start','0747c156-d36e-5346-b4be-e92cee14f86a',1795283755948825,'{"request_id":"req-1","operation_id":"54c79775-030c-457c-85b3-590a522ff9b6","generation":1}',0);
INSERT INTO "events" VALUES(32,'compute.instance.spawn.end','0747c156-d36e-5346-b4be-e92cee14f86a',1795283755980238,'{"operation_id":"54c79775-030c-457c-85b3-590a522ff9b6","instance_uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(33,'compute.instance.destroy.start','0747c156-d36e-5346-b4be-e92cee14f86a',1795283755985689,'{"request_id":"req-1","operation_id":"78d72681-4991-4e65-b91f-ba6a9175aa75","generation":2}',0);
INSERT INTO "events" VALUES(34,'compute.instance.spawn.start','a1ce61fb-28f3-5450-b9e0-47d4efb13952',1795283756012325,'{"request_id":"req-1","operation_id":"e33afb44-6b50-455c-818c-1c707f0db066","generation":1}',0);
INSERT INTO "events" VALUES(35,'compute.instance.spawn.end','a1ce61fb-28f3-5450-b9e0-47d4efb13952',1795283756035886,'{"operation_id":"e33afb44-6b50-455c-818c-1c707f0db066","instance_uuid":"a1ce61fb-28f3-5450-b9e0-47d4efb13952","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(36,'compute.instance.pause.start','a1ce61fb-28f3-5450-b9e0-47d4efb13952',1795283756043987,'{"request_id":"req-1","operation_id":"c061216c-3f3e-49ef-b896-4f7cb4cb6d97","generation":2}',0);
INSERT INTO "events" VALUES(37,'compute.instance.spawn.start','4b49c367-32d0-59db-b7ad-c5db02a4c9bf',1795283756057262,'{"request_id":"req-1","operation_id":"a79fe978-534b-4f95-8d0f-e91e41e89592","generation":1}',0);
INSERT INTO "events" VALUES(38,'compute.instance.spawn.end','4b49c367-32d0-59db-b7ad-c5db02a4c9bf',1795283756084446,'{"operation_id":"a79fe978-534b-4f95-8d0f-e91e41e89592","instance_uuid":"4b49c367-32d0-59db-b7ad-c5db02a4c9bf","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(39,'compute.instance.stop.start','4b49c367-32d0-59db-b7ad-c5db02a4c9bf',1795283756089095,'{"request_id":"req-1","operation_id":"2210282e-1c50-4fbd-bed4-b54a8878ba0f","generation":2}',0);
CREATE TABLE generations (
    instance TEXT PRIMARY KEY CHECK (length(instance) = 36),
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "generations" VALUES('04271a9e-cc9a-58c7-8016-90aaa1323757',2);
INSERT INTO "generations" VALUES('0747c156-d36e-5346-b4be-e92cee14f86a',2);
INSERT INTO "generations" VALUES('160d7db4-5182-5760-8969-4a40a75333a8',2);
INSERT INTO "generations" VALUES('18b2fb47-a188-5cfa-a159-041e1ccd5d49',2);
INSERT INTO "generations" VALUES('20f65820-b409-50ff-a818-be3c7f4f0265',1);
INSERT INTO "generations" VALUES('4b49c367-32d0-59db-b7ad-c5db02a4c9bf',2);
INSERT INTO "generations" VALUES('59a29cb6-86cc-589e-99e5-20429a6f312a',1);
INSERT INTO "generations" VALUES('7b3177db-f87d-5e6f-9f53-364fea6053f7',1);
INSERT INTO "generations" VALUES('9b88ca28-fb29-5546-8ec0-f9b4f3cde588',2);
INSERT INTO "generations" VALUES('a1ce61fb-28f3-5450-b9e0-47d4efb13952',2);
INSERT INTO "generations" VALUES('a866cc76-6a35-5eda-afbd-2360513b83fd',1);
INSERT INTO "generations" VALUES('a9221864-2f32-5774-a4e4-a28ab2c7e842',1);
INSERT INTO "generations" VALUES('bddab5ed-a477-52b5-b59a-8c4d37e815a0',1);
INSERT INTO "generations" VALUES('dae537da-c62e-5de1-a87e-a02c27deb2da',1);
INSERT INTO "generations" VALUES('e928e3f4-c56e-5e57-9d09-687b6d837a75',2);
INSERT INTO "generations" VALUES('ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',3);
CREATE TABLE journal (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    host TEXT NOT NULL CHECK (length(host) > 0),
    stream TEXT NOT NULL CHECK (length(stream) = 36),
    key_check TEXT NOT NULL,
    last_sequence INTEGER NOT NULL DEFAULT 0,
    -- Events and replies the broker hasn't confirmed; kept by the triggers below, so that the bound on
    -- them costs each request one look and not a count.
    unsent INTEGER NOT NULL DEFAULT 0 CHECK (unsent >= 0)
) STRICT;
INSERT INTO "journal" VALUES(1,'h1','7edbcd7e-41c6-4725-a8ee-48d54272edc3','bc7dee906edf580be2b3c3d8d5272aa5d513754da2cdede03c06853774463a99',39,52);
CREATE TABLE operations (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 36),
    identity TEXT NOT NULL UNIQUE CHECK (length(identity) BETWEEN 1 AND 640),
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) > 0),
    method TEXT NOT NULL CHECK (length(method) BETWEEN 1 AND 64),
    saga TEXT NOT NULL CHECK (length(saga) BETWEEN 1 AND 64),
    saga_version INTEGER NOT NULL,
    instance_uuid TEXT CHECK (length(instance_uuid) = 36),
    caller TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN (
        'queued', 'running', 'succeeded', 'failed', 'cancelled', 'unknown', 'stuck', 'abandoned'
    )),
    accepted_at INTEGER NOT NULL,
    begun_at INTEGER,
    ended_at INTEGER,
    not_after INTEGER,
    if_generation INTEGER,
    state TEXT,
    answer TEXT,
    shares TEXT NOT NULL DEFAULT '{}',
    -- Under way, or waiting for a person: what is needed to go on is there. Ended: it is erased.
    CHECK ((state IS NOT NULL) = (status IN ('queued', 'running', 'unknown', 'stuck'))),
    CHECK ((ended_at IS NULL) = (status IN ('queued', 'running')))
) STRICT;
INSERT INTO "operations" VALUES(1,'32e171e6-6edc-4ca4-a470-75b03192d715','recorded/spawn-making-disks','same','spawn','spawn',1,'dae537da-c62e-5de1-a87e-a02c27deb2da','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755257788,1795283755260221,NULL,4102444800000000,NULL,'{"instance_uuid":"dae537da-c62e-5de1-a87e-a02c27deb2da","generation":1,"spec":{"uuid":"dae537da-c62e-5de1-a87e-a02c27deb2da","name":"spawn-making-disks","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-making-disks","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-making-disks","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-making-disks"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsr1nbTysHRTpqurqkBYm66beujlnWpZpXZD5zk_cU9MgLL4VPATLGHyNAPfrQ91E3e8cmScOHlSS5MrkdwdbhmDCD6Os4DlIueX97nIPaPNC0="}}}],"interfaces":[{"port_id":"p-spawn-making-disks","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-making-disks","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAdsr2ErbETqAK-IbRi1FaxPnCJe7a9Ls_pk2lZwhKCz_P0Qe5zJfoa-s0WnB--P-9Z38tKamx54ObqN649RzrclO2WB5MHEeC-0MLEHkl2WdzKo="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[]}',NULL,'{}');
INSERT INTO "operations" VALUES(2,'97cb1bcd-c6f5-4ddd-8f27-4f36d9ccb6d5','recorded/spawn-defining','same','spawn','spawn',1,'59a29cb6-86cc-589e-99e5-20429a6f312a','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755272321,1795283755275192,NULL,4102444800000000,NULL,'{"instance_uuid":"59a29cb6-86cc-589e-99e5-20429a6f312a","generation":1,"spec":{"uuid":"59a29cb6-86cc-589e-99e5-20429a6f312a","name":"spawn-defining","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-defining","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-defining","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-defining"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsr0GIKA34WIwG4awv7H2PKd-XQIeHTGlTKxiwD6iZuOhosgO3qAaFWFi4FMe1CDSdjZlTq7D7lwUp_OfJ4_7_i98TBpzHKN6eVFAurzfXIXPo="}}}],"interfaces":[{"port_id":"p-spawn-defining","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-defining","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAdsr7mQFiPg0JXnmnc3-12qUK7XWEkx1PvRojHShrL7QuTnJTrrb0TdIywETURudZN0eaVNmzmMb3X6mIom3Itf5A0V1l-WmpG-IsPLs3TYOZ4Q="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-defining","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-defining","format":"raw"},"device":"disk","serial":"vol-spawn-defining","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}',NULL,'{}');
INSERT INTO "operations" VALUES(3,'a4c68968-5fa5-4bfd-b556-582097ab20ae','recorded/spawn-starting','same','spawn','spawn',1,'7b3177db-f87d-5e6f-9f53-364fea6053f7','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755300533,1795283755301836,NULL,4102444800000000,NULL,'{"instance_uuid":"7b3177db-f87d-5e6f-9f53-364fea6053f7","generation":1,"spec":{"uuid":"7b3177db-f87d-5e6f-9f53-364fea6053f7","name":"spawn-starting","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-starting","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-starting","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-starting"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrLZWh7mNmiIQIVoW-Yf7s5Kzpl4MLLN2TqkemsvAheDAmaeD1VUH3zxs3idtmAB3NdzBfLdcse7BVmM27huhCwMk5n033_nIdIt_M7SLdELY="}}}],"interfaces":[{"port_id":"p-spawn-starting","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-starting","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAdsrQc3VLM1NR0lyTc89FQmOf8x7x8hBfHwnar_ieAsEmEmkgWj7BQkaUVXRgc01i3KVbw4COrnne1quFWibdCPiD1astexBGb1lUIILzFMfMnk="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-starting","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-starting","format":"raw"},"device":"disk","serial":"vol-spawn-starting","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}',NULL,'{}');
INSERT INTO "operations" VALUES(4,'18f99e6a-6b08-419e-9e94-dec8430fee52','recorded/spawn-too-late','same','spawn','spawn',1,'bddab5ed-a477-52b5-b59a-8c4d37e815a0','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755323270,1795283755324544,NULL,978307200000000,NULL,'{"instance_uuid":"bddab5ed-a477-52b5-b59a-8c4d37e815a0","generation":1,"spec":{"uuid":"bddab5ed-a477-52b5-b59a-8c4d37e815a0","name":"spawn-too-late","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-too-late","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-too-late","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-too-late"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrEeweY0o00EFxjFoHm9VvN4xZmZIvxY8iAYxFT7Xa5lPv4Mtt8G9sHToX_nOHeAEJWUFS9DyCUQUOBQtbgKSuPwtNexzsvedPsUlladvaNAY="}}}],"interfaces":[{"port_id":"p-spawn-too-late","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-too-late","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAdsrunAzPfFpm1fniWEjnfdQJ-lKWfDP2CytE5Jyr_-75hf5S-_IEcLDSCsfl-ItYE7JD5FlCib3n5QU8KhIT32x97TPQkZLPsgfBLt2lIvbgd0="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-too-late","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-too-late","format":"raw"},"device":"disk","serial":"vol-spawn-too-late","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}',NULL,'{}');
INSERT INTO "operations" VALUES(5,'3d16cf79-2f79-41e6-8b31-4b116c28fc18','recorded/spawn-undoing','same','spawn','spawn',1,'a9221864-2f32-5774-a4e4-a28ab2c7e842','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755358848,1795283755360837,NULL,4102444800000000,NULL,'{"instance_uuid":"a9221864-2f32-5774-a4e4-a28ab2c7e842","generation":1,"spec":{"uuid":"a9221864-2f32-5774-a4e4-a28ab2c7e842","name":"spawn-undoing","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-undoing","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-undoing","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-undoing"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrPbggW5yWYeHcvtlO6qutpNluNAS0JmFF8wySng9sGVgDzvsFBM6aIx0qnS-bPTXS8mGGtf7GsqPkE9BZKaWVAumQdyMIBwojiy1kQyHl7FM="}}}],"interfaces":[{"port_id":"p-spawn-undoing","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-undoing","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAdsrrjL91Kj0wY2_AaLSZYkKnkomjbBp5WAoiOccfoIoE00gg-349Cs-GyHSLmC42S8Gx3kfWD4S-N1x36hvj2cooXtAT5hhPXFuf9MCjtPrFa0="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-undoing","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-undoing","format":"raw"},"device":"disk","serial":"vol-spawn-undoing","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}',NULL,'{}');
INSERT INTO "operations" VALUES(6,'81d66bb5-cb17-4aaa-b639-3c97b308bf1f','recorded/spawn-unknown','same','spawn','spawn',1,'a866cc76-6a35-5eda-afbd-2360513b83fd','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','unknown',1795283755395594,1795283755397548,1795283755416652,4102444800000000,NULL,'{"instance_uuid":"a866cc76-6a35-5eda-afbd-2360513b83fd","generation":1,"spec":{"uuid":"a866cc76-6a35-5eda-afbd-2360513b83fd","name":"spawn-unknown","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-unknown","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-unknown","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-unknown"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrZfq9FAbGYp0fiLuFf830cLsybuMeh0cQTMHANQ-aK54eOcZyop1j0HYUVIYW7RnblpIcgcWBkCsaVoPRiCuTWqyo_uNXMKStsSgLIVyP-yM="}}}],"interfaces":[{"port_id":"p-spawn-unknown","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-unknown","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAdsrU7SmqvmxhjgfgEDbNivqLidSD2KLvDPardVbX2jFurBRVGb5A6gBH-hsEVex1BNjkwg5MkZoruuUXFFDIiLWI51JmOuxLnk0X-k5EEnX-Ec="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-unknown","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-unknown","format":"raw"},"device":"disk","serial":"vol-spawn-unknown","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}','{"result":null,"error":{"code":"timed_out","message":"domains.start was told to fail (after)","retryable":false,"details":{},"incident":null}}','{"libvirt":0.007602042000144138,"journal":0.00793646800229908,"total":0.01914316800139204,"queued":0.001345,"own":0.011541126001247903}');
INSERT INTO "operations" VALUES(7,'e4f5feba-f550-4a78-a47c-acc7fdd10f5c','recorded/spawned','same','spawn','spawn',1,'20f65820-b409-50ff-a818-be3c7f4f0265','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755423090,1795283755425082,1795283755445359,4102444800000000,NULL,NULL,'{"result":{"operation_id":"e4f5feba-f550-4a78-a47c-acc7fdd10f5c","instance_uuid":"20f65820-b409-50ff-a818-be3c7f4f0265","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.0077278090011532186,"journal":0.008777565002674237,"total":0.020368581999719026,"queued":0.001409,"own":0.012640772998565808}');
INSERT INTO "operations" VALUES(8,'77f7392a-2516-477f-8ee7-451a89bb5a36','test/b8c77557-d8a4-4dbb-af8c-ec367f8d72ec','same','spawn','spawn',1,'04271a9e-cc9a-58c7-8016-90aaa1323757','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755447421,1795283755448855,1795283755470868,NULL,NULL,NULL,'{"result":{"operation_id":"77f7392a-2516-477f-8ee7-451a89bb5a36","instance_uuid":"04271a9e-cc9a-58c7-8016-90aaa1323757","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.007966065002619871,"journal":0.01036352099981741,"total":0.02197030800016364,"queued":0.000995,"own":0.01400424299754377}');
INSERT INTO "operations" VALUES(9,'3e475b13-17e5-4839-b2da-210e9b8f0486','recorded/attaching','same','attach_volume','attach_volume',1,'04271a9e-cc9a-58c7-8016-90aaa1323757','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755477974,1795283755480213,NULL,NULL,NULL,'{"instance_uuid":"04271a9e-cc9a-58c7-8016-90aaa1323757","generation":2,"connection":{"volume_id":"vol-attaching-more","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attaching-more"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrDH0vOD9xCS-gsXMBGJtdgOA4ja024UQ6dHQYxuOLfyrI3qzPGIJm152IJDRhPehvseThc9LCLqVAg3FX4E4U28UTo69i0GhyGWdQigeJ7C4="}},"bus":"virtio","boot_index":null,"device":null,"disk":{"id":"vol-attaching-more","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attaching-more","format":"raw"},"device":"disk","serial":"vol-attaching-more","boot_index":null,"cache":null,"readonly":false,"target":null,"removable":true}}',NULL,'{}');
INSERT INTO "operations" VALUES(10,'a83976dc-4f35-45e4-86c8-574e8993127d','test/ebb2cd05-2ebc-44c8-b4a0-512bd76e78e4','same','spawn','spawn',1,'18b2fb47-a188-5cfa-a159-041e1ccd5d49','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755491081,1795283755493136,1795283755517542,NULL,NULL,NULL,'{"result":{"operation_id":"a83976dc-4f35-45e4-86c8-574e8993127d","instance_uuid":"18b2fb47-a188-5cfa-a159-041e1ccd5d49","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.009169306002149824,"journal":0.010966252997604897,"total":0.024532753001039964,"queued":0.001423,"own":0.01536344699889014}');
INSERT INTO "operations" VALUES(11,'3dd5ab2d-5083-4729-b4b1-67c9531af258','recorded/attach-undoing','same','attach_volume','attach_volume',1,'18b2fb47-a188-5cfa-a159-041e1ccd5d49','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755520881,1795283755523257,NULL,NULL,NULL,'{"instance_uuid":"18b2fb47-a188-5cfa-a159-041e1ccd5d49","generation":2,"connection":{"volume_id":"vol-attach-undoing-more","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attach-undoing-more"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrp7wyTsr5bBXQfm9uF6tlRLXfyNRZQCmsEjF04Hh-fsuKWzPff4eQa-qKFFJ3yTkHMNOHw_n8YTa2Im_7KmuMlpmNqqf7-S2fwc4taUQaqRs="}},"bus":"virtio","boot_index":null,"device":null,"disk":{"id":"vol-attach-undoing-more","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attach-undoing-more","format":"raw"},"device":"disk","serial":"vol-attach-undoing-more","boot_index":null,"cache":null,"readonly":false,"target":null,"removable":true}}',NULL,'{}');
INSERT INTO "operations" VALUES(12,'83c9fe73-97c3-4c70-be99-d6c9873a4972','test/f1ec638b-898e-4fbe-a8ac-bdd9091686c6','same','spawn','spawn',1,'e928e3f4-c56e-5e57-9d09-687b6d837a75','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755544479,1795283755547069,1795283755572248,NULL,NULL,NULL,'{"result":{"operation_id":"83c9fe73-97c3-4c70-be99-d6c9873a4972","instance_uuid":"e928e3f4-c56e-5e57-9d09-687b6d837a75","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.01215370700447238,"journal":0.008636020000267308,"total":0.02585817799990764,"queued":0.001464,"own":0.013704470995435258}');
INSERT INTO "operations" VALUES(13,'ccd2c276-9657-4bae-8f78-239a9f45a0c6','recorded/attach-stuck','same','attach_volume','attach_volume',1,'e928e3f4-c56e-5e57-9d09-687b6d837a75','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','stuck',1795283755577115,1795283755580109,1795283755597491,NULL,NULL,'{"instance_uuid":"e928e3f4-c56e-5e57-9d09-687b6d837a75","generation":2,"connection":{"volume_id":"vol-attach-stuck-more","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attach-stuck-more"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrFOrqy-C2gOjxNyBvM9ReSpE3qXGQlohUHTPhnOu5hGnSUZBRLdJH-aNe63UG7AphFuHBWLVyfEtxPCASRgJk05BGqZQf3-NZ7PRM_3BjOJA="}},"bus":"virtio","boot_index":null,"device":null,"disk":{"id":"vol-attach-stuck-more","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attach-stuck-more","format":"raw"},"device":"disk","serial":"vol-attach-stuck-more","boot_index":null,"cache":null,"readonly":false,"target":null,"removable":true}}','{"result":null,"error":{"code":"operation_stuck","message":"attach_volume: step connect could not be undone: volumes.disconnect was told to fail (before)","retryable":false,"details":{"step":"connect"},"incident":null}}','{"libvirt":0.007097088999216794,"journal":0.007803820995832211,"total":0.018694878999667708,"queued":0.001339,"own":0.011597790000450914}');
INSERT INTO "operations" VALUES(14,'c1998bc7-0215-4cbb-af63-b2fa1bfc5358','test/84e5b891-0014-4807-b7df-93969e1022a7','same','spawn','spawn',1,'ef2dd48a-97b8-57c4-a6f3-095ac2c4662b','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755605667,1795283755608419,1795283755634267,NULL,NULL,NULL,'{"result":{"operation_id":"c1998bc7-0215-4cbb-af63-b2fa1bfc5358","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.010903607999352971,"journal":0.011356422000972088,"total":0.026489166999454028,"queued":0.001672,"own":0.015585559000101057}');
INSERT INTO "operations" VALUES(15,'60e6132f-73af-4a9a-95e6-e0cb6ba8cc94','test/936009a8-711f-48ce-8724-81e3f4c6d3e4','same','attach_volume','attach_volume',1,'ef2dd48a-97b8-57c4-a6f3-095ac2c4662b','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755638094,1795283755640169,1795283755655165,NULL,NULL,NULL,'{"result":{"operation_id":"60e6132f-73af-4a9a-95e6-e0cb6ba8cc94","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":2,"power_state":"running","already":false,"attached":"vol-detaching-more"},"error":null}','{"libvirt":0.007358419001320726,"journal":0.006078872005673475,"total":0.015338881999923615,"queued":0.001245,"own":0.007980462998602889}');
INSERT INTO "operations" VALUES(16,'65420e51-8463-4774-a2a4-7e0a746e0c71','recorded/detaching','same','detach_volume','detach_volume',1,'ef2dd48a-97b8-57c4-a6f3-095ac2c4662b','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755662281,1795283755664322,NULL,NULL,NULL,'{"instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":3,"volume_id":"vol-detaching-more","connection":{"volume_id":"vol-detaching-more","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"detaching-more"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrdSp8VxaCj_JHvj-vq_kXfy39H3KJvGGB2WV7mvPN07HtkP2byeGVKIJwA9v8o0b2L6SJ1RQWPcmppcZGfAhLBrwSjl8CUy48UWlCe3OeuQ8="}}}',NULL,'{}');
INSERT INTO "operations" VALUES(17,'03b122a4-2bbd-475a-b5c0-113c12c941f4','test/c97d4ac3-aff0-4786-9142-1426c3f88dd2','same','spawn','spawn',1,'160d7db4-5182-5760-8969-4a40a75333a8','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755855539,1795283755857686,1795283755885465,NULL,NULL,NULL,'{"result":{"operation_id":"03b122a4-2bbd-475a-b5c0-113c12c941f4","instance_uuid":"160d7db4-5182-5760-8969-4a40a75333a8","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.011679092003760161,"journal":0.011502198001835495,"total":0.02803000099993369,"queued":0.001425,"own":0.01635090899617353}');
INSERT INTO "operations" VALUES(18,'55c0f93b-fa35-406d-92c4-cafb9f33e28a','recorded/plugging','same','attach_interface','attach_interface',1,'160d7db4-5182-5760-8969-4a40a75333a8','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755888450,1795283755891346,NULL,NULL,NULL,'{"instance_uuid":"160d7db4-5182-5760-8969-4a40a75333a8","generation":2,"interface":{"port_id":"p2-plugging","mac_address":"52:54:00:00:00:02","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"bridge","bridge":"br0"}}',NULL,'{}');
INSERT INTO "operations" VALUES(19,'c28476fd-2cf7-4c23-8f1e-cf66dc228ffe','test/0ecf97db-39f7-49d8-a6eb-545b23c4eb51','same','spawn','spawn',1,'9b88ca28-fb29-5546-8ec0-f9b4f3cde588','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755902063,1795283755904414,1795283755926928,NULL,NULL,NULL,'{"result":{"operation_id":"c28476fd-2cf7-4c23-8f1e-cf66dc228ffe","instance_uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.008749417997023556,"journal":0.010007284998209798,"total":0.022844724999231403,"queued":0.001625,"own":0.014095307002207846}');
INSERT INTO "operations" VALUES(20,'3c54693a-73ad-47a9-9302-a7ee0e1ec22c','recorded/destroying-early','same','destroy','destroy',1,'9b88ca28-fb29-5546-8ec0-f9b4f3cde588','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755932102,1795283755934139,NULL,NULL,NULL,'{"instance_uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","generation":2,"delete_disks":true,"spec":{"uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","name":"destroying-early","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-destroying-early","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-destroying-early","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"destroying-early"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrHANak4HwJk1EqtnUnR9_3SgXLB4WdXxUUIQWIbruC6rcfEroc_hhq2QzywA_FEHJGR24p7Yucq0sfvM0hpJLuA=="}}}],"interfaces":[{"port_id":"p-destroying-early","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"destroying-early","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAdsrLnlPNXf98YJ9J2fFxQu2p_EZVbv0K40NAyLi3g-PP1ciz125AHMacBnBP_292BZi61nJiUxyAXXVlgqM35DA_w=="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"volume_id":"vol-destroying-early","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"destroying-early"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrASofmA85c7uzExJHaBtBuF5xl091gX1WkYYq7lBhzYbczqf68SOSTQ_Y4FVwAWDK6RpPKxGprhnJJPwEDS1AIg=="}}]}',NULL,'{}');
INSERT INTO "operations" VALUES(21,'54c79775-030c-457c-85b3-590a522ff9b6','test/764c5bc7-6382-44ea-84f2-aebedfcc836b','same','spawn','spawn',1,'0747c156-d36e-5346-b4be-e92cee14f86a','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283755945853,1795283755948825,1795283755980238,NULL,NULL,NULL,'{"result":{"operation_id":"54c79775-030c-457c-85b3-590a522ff9b6","instance_uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.012679286001002765,"journal":0.013330050995136844,"total":0.031501596999078174,"queued":0.002367,"own":0.01882231099807541}');
INSERT INTO "operations" VALUES(22,'78d72681-4991-4e65-b91f-ba6a9175aa75','recorded/destroying-late','same','destroy','destroy',1,'0747c156-d36e-5346-b4be-e92cee14f86a','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283755983818,1795283755985689,NULL,NULL,NULL,'{"instance_uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","generation":2,"delete_disks":true,"spec":{"uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","name":"destroying-late","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-destroying-late","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-destroying-late","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"destroying-late"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsrET-Tl-bx1ZfdtYRPmP8ZZkLflNfgaSIW-DorWQNE6zR8F-kfye4IYr2ZHtSmrx_tpOygp782r__bnQyihpaWeg=="}}}],"interfaces":[{"port_id":"p-destroying-late","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"destroying-late","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAdsr8dXgwc9ZTDQI1Lkje_BeO20TlDy-RAAns8udSNrRY84wy17uOclo5ttrZWGKfyW0CZdgq4fb-8JAgcfmr_dNiQ=="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"volume_id":"vol-destroying-late","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"destroying-late"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAdsr-AqTauft6zc9xptYpHkVEBVT29UWVGeCzTywPn8UGlD4UdzGbdbws0y9DSRGx-5zCCwLiOFP8aokEi2Aa-WAmA=="}}]}',NULL,'{}');
INSERT INTO "operations" VALUES(23,'e33afb44-6b50-455c-818c-1c707f0db066','test/e58fc640-84e8-4567-af6c-6a72c28676fc','same','spawn','spawn',1,'a1ce61fb-28f3-5450-b9e0-47d4efb13952','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283756009268,1795283756012325,1795283756035886,NULL,NULL,NULL,'{"result":{"operation_id":"e33afb44-6b50-455c-818c-1c707f0db066","instance_uuid":"a1ce61fb-28f3-5450-b9e0-47d4efb13952","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.010114442000485724,"journal":0.010060258999146754,"total":0.024205040999731864,"queued":0.002018,"own":0.01409059899924614}');
INSERT INTO "operations" VALUES(24,'c061216c-3f3e-49ef-b896-4f7cb4cb6d97','recorded/pausing','same','pause','pause',1,'a1ce61fb-28f3-5450-b9e0-47d4efb13952','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283756041140,1795283756043987,NULL,NULL,NULL,'{"instance_uuid":"a1ce61fb-28f3-5450-b9e0-47d4efb13952","generation":2}',NULL,'{}');
INSERT INTO "operations" VALUES(25,'a79fe978-534b-4f95-8d0f-e91e41e89592','test/4cd1c89d-4658-407b-a7ca-f43216d9688c','same','spawn','spawn',1,'4b49c367-32d0-59db-b7ad-c5db02a4c9bf','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795283756054974,1795283756057262,1795283756084446,NULL,NULL,NULL,'{"result":{"operation_id":"a79fe978-534b-4f95-8d0f-e91e41e89592","instance_uuid":"4b49c367-32d0-59db-b7ad-c5db02a4c9bf","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.009381931000461918,"journal":0.013822564002111903,"total":0.02771970900175802,"queued":0.001317,"own":0.0183377780012961}');
INSERT INTO "operations" VALUES(26,'2210282e-1c50-4fbd-bed4-b54a8878ba0f','recorded/stopping','same','stop','stop',1,'4b49c367-32d0-59db-b7ad-c5db02a4c9bf','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795283756087235,1795283756089095,NULL,NULL,NULL,'{"instance_uuid":"4b49c367-32d0-59db-b7ad-c5db02a4c9bf","generation":2,"graceful":false,"timeout_s":60.0}',NULL,'{}');
CREATE TABLE power (
    instance TEXT PRIMARY KEY CHECK (length(instance) = 36),
    state TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE replies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO "replies" VALUES(1,'665447b3-600b-464e-a91a-9c256309a51f','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":null,"error":{"code":"timed_out","message":"domains.start was told to fail (after)","retryable":false,"details":{},"incident":null}}',1795283755416652);
INSERT INTO "replies" VALUES(2,'85dce6f1-f52b-4a8d-8d6d-81f671bda682','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"e4f5feba-f550-4a78-a47c-acc7fdd10f5c","instance_uuid":"20f65820-b409-50ff-a818-be3c7f4f0265","generation":1,"power_state":"running","already":false},"error":null}',1795283755445359);
INSERT INTO "replies" VALUES(3,'d3d42409-127e-445e-abad-319299f99c2c','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"77f7392a-2516-477f-8ee7-451a89bb5a36","instance_uuid":"04271a9e-cc9a-58c7-8016-90aaa1323757","generation":1,"power_state":"running","already":false},"error":null}',1795283755470868);
INSERT INTO "replies" VALUES(4,'50e048fc-2717-4d34-80cd-8832cea72b52','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"a83976dc-4f35-45e4-86c8-574e8993127d","instance_uuid":"18b2fb47-a188-5cfa-a159-041e1ccd5d49","generation":1,"power_state":"running","already":false},"error":null}',1795283755517542);
INSERT INTO "replies" VALUES(5,'25018d29-76d6-47f4-80b0-787414479965','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"83c9fe73-97c3-4c70-be99-d6c9873a4972","instance_uuid":"e928e3f4-c56e-5e57-9d09-687b6d837a75","generation":1,"power_state":"running","already":false},"error":null}',1795283755572248);
INSERT INTO "replies" VALUES(6,'a7ff9571-7bd6-44b6-b129-daadce298ba5','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":null,"error":{"code":"operation_stuck","message":"attach_volume: step connect could not be undone: volumes.disconnect was told to fail (before)","retryable":false,"details":{"step":"connect"},"incident":null}}',1795283755597491);
INSERT INTO "replies" VALUES(7,'30a7d968-5f2e-4a1b-8313-149c57248e57','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"c1998bc7-0215-4cbb-af63-b2fa1bfc5358","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":1,"power_state":"running","already":false},"error":null}',1795283755634267);
INSERT INTO "replies" VALUES(8,'3fa6df9a-0e59-4a4a-9dc5-f5759c3d0f1b','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"60e6132f-73af-4a9a-95e6-e0cb6ba8cc94","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":2,"power_state":"running","already":false,"attached":"vol-detaching-more"},"error":null}',1795283755655165);
INSERT INTO "replies" VALUES(9,'cc16980f-e071-4704-8600-2f4aaa3f8806','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"03b122a4-2bbd-475a-b5c0-113c12c941f4","instance_uuid":"160d7db4-5182-5760-8969-4a40a75333a8","generation":1,"power_state":"running","already":false},"error":null}',1795283755885465);
INSERT INTO "replies" VALUES(10,'51d34534-db52-4a90-8251-100bb12e5551','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"c28476fd-2cf7-4c23-8f1e-cf66dc228ffe","instance_uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","generation":1,"power_state":"running","already":false},"error":null}',1795283755926928);
INSERT INTO "replies" VALUES(11,'449b5a43-4075-400c-9a2c-453c73f4260f','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"54c79775-030c-457c-85b3-590a522ff9b6","instance_uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","generation":1,"power_state":"running","already":false},"error":null}',1795283755980238);
INSERT INTO "replies" VALUES(12,'5a562ed3-7ea3-438f-a2e2-f055ee6ace38','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"e33afb44-6b50-455c-818c-1c707f0db066","instance_uuid":"a1ce61fb-28f3-5450-b9e0-47d4efb13952","generation":1,"power_state":"running","already":false},"error":null}',1795283756035886);
INSERT INTO "replies" VALUES(13,'39351611-eba8-4191-a2d6-2f2d43202724','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"a79fe978-534b-4f95-8d0f-e91e41e89592","instance_uuid":"4b49c367-32d0-59db-b7ad-c5db02a4c9bf","generation":1,"power_state":"running","already":false},"error":null}',1795283756084446);
CREATE TABLE steps (
    operation INTEGER NOT NULL REFERENCES operations (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    mark TEXT NOT NULL CHECK (mark IN ('begun', 'done', 'undoing', 'undone', 'stuck')),
    since INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (operation, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "steps" VALUES(1,'check',0,'done',1795283755261422,1795283755262836);
INSERT INTO "steps" VALUES(1,'directory',2,'done',1795283755264566,1795283755265631);
INSERT INTO "steps" VALUES(1,'disks',3,'begun',1795283755266218,1795283755266218);
INSERT INTO "steps" VALUES(1,'images',1,'done',1795283755263422,1795283755264004);
INSERT INTO "steps" VALUES(2,'check',0,'done',1795283755276202,1795283755277255);
INSERT INTO "steps" VALUES(2,'define',5,'begun',1795283755283584,1795283755283584);
INSERT INTO "steps" VALUES(2,'directory',2,'done',1795283755278823,1795283755279600);
INSERT INTO "steps" VALUES(2,'disks',3,'done',1795283755280087,1795283755281553);
INSERT INTO "steps" VALUES(2,'images',1,'done',1795283755277802,1795283755278294);
INSERT INTO "steps" VALUES(2,'volumes',4,'done',1795283755282070,1795283755283064);
INSERT INTO "steps" VALUES(3,'check',0,'done',1795283755308029,1795283755309173);
INSERT INTO "steps" VALUES(3,'define',5,'done',1795283755316799,1795283755318170);
INSERT INTO "steps" VALUES(3,'directory',2,'done',1795283755310936,1795283755312026);
INSERT INTO "steps" VALUES(3,'disks',3,'done',1795283755312601,1795283755314637);
INSERT INTO "steps" VALUES(3,'images',1,'done',1795283755309781,1795283755310334);
INSERT INTO "steps" VALUES(3,'start',6,'begun',1795283755318725,1795283755318725);
INSERT INTO "steps" VALUES(3,'volumes',4,'done',1795283755315356,1795283755316243);
INSERT INTO "steps" VALUES(4,'check',0,'done',1795283755325369,1795283755326310);
INSERT INTO "steps" VALUES(4,'define',5,'done',1795283755343029,1795283755345270);
INSERT INTO "steps" VALUES(4,'directory',2,'done',1795283755334109,1795283755335429);
INSERT INTO "steps" VALUES(4,'disks',3,'done',1795283755336108,1795283755340016);
INSERT INTO "steps" VALUES(4,'images',1,'done',1795283755332357,1795283755333287);
INSERT INTO "steps" VALUES(4,'start',6,'begun',1795283755346076,1795283755346076);
INSERT INTO "steps" VALUES(4,'volumes',4,'done',1795283755340908,1795283755342250);
INSERT INTO "steps" VALUES(5,'check',0,'done',1795283755361981,1795283755363502);
INSERT INTO "steps" VALUES(5,'define',5,'undoing',1795283755381584,1795283755381584);
INSERT INTO "steps" VALUES(5,'directory',2,'done',1795283755365409,1795283755366452);
INSERT INTO "steps" VALUES(5,'disks',3,'done',1795283755367160,1795283755369931);
INSERT INTO "steps" VALUES(5,'images',1,'done',1795283755364228,1795283755364831);
INSERT INTO "steps" VALUES(5,'start',6,'undone',1795283755378684,1795283755380616);
INSERT INTO "steps" VALUES(5,'volumes',4,'done',1795283755370659,1795283755371997);
INSERT INTO "steps" VALUES(6,'check',0,'done',1795283755399216,1795283755400787);
INSERT INTO "steps" VALUES(6,'define',5,'done',1795283755411350,1795283755413162);
INSERT INTO "steps" VALUES(6,'directory',2,'done',1795283755402858,1795283755404306);
INSERT INTO "steps" VALUES(6,'disks',3,'done',1795283755404971,1795283755408010);
INSERT INTO "steps" VALUES(6,'images',1,'done',1795283755401510,1795283755402160);
INSERT INTO "steps" VALUES(6,'start',6,'begun',1795283755413809,1795283755413809);
INSERT INTO "steps" VALUES(6,'volumes',4,'done',1795283755408800,1795283755410526);
INSERT INTO "steps" VALUES(7,'check',0,'done',1795283755426310,1795283755427804);
INSERT INTO "steps" VALUES(7,'define',5,'done',1795283755438816,1795283755441078);
INSERT INTO "steps" VALUES(7,'directory',2,'done',1795283755429851,1795283755431387);
INSERT INTO "steps" VALUES(7,'disks',3,'done',1795283755432025,1795283755434895);
INSERT INTO "steps" VALUES(7,'images',1,'done',1795283755428534,1795283755429206);
INSERT INTO "steps" VALUES(7,'start',6,'done',1795283755441784,1795283755443554);
INSERT INTO "steps" VALUES(7,'volumes',4,'done',1795283755436129,1795283755437973);
INSERT INTO "steps" VALUES(8,'check',0,'done',1795283755449977,1795283755451409);
INSERT INTO "steps" VALUES(8,'define',5,'done',1795283755463225,1795283755465678);
INSERT INTO "steps" VALUES(8,'directory',2,'done',1795283755453425,1795283755454849);
INSERT INTO "steps" VALUES(8,'disks',3,'done',1795283755455589,1795283755458980);
INSERT INTO "steps" VALUES(8,'images',1,'done',1795283755452038,1795283755452765);
INSERT INTO "steps" VALUES(8,'start',6,'done',1795283755466443,1795283755468472);
INSERT INTO "steps" VALUES(8,'volumes',4,'done',1795283755460736,1795283755462151);
INSERT INTO "steps" VALUES(9,'attach',2,'begun',1795283755485636,1795283755485636);
INSERT INTO "steps" VALUES(9,'connect',1,'done',1795283755483641,1795283755485039);
INSERT INTO "steps" VALUES(9,'note',0,'done',1795283755481443,1795283755483012);
INSERT INTO "steps" VALUES(10,'check',0,'done',1795283755494301,1795283755496015);
INSERT INTO "steps" VALUES(10,'define',5,'done',1795283755509762,1795283755511920);
INSERT INTO "steps" VALUES(10,'directory',2,'done',1795283755498492,1795283755500633);
INSERT INTO "steps" VALUES(10,'disks',3,'done',1795283755503116,1795283755507029);
INSERT INTO "steps" VALUES(10,'images',1,'done',1795283755497024,1795283755497778);
INSERT INTO "steps" VALUES(10,'start',6,'done',1795283755512852,1795283755514987);
INSERT INTO "steps" VALUES(10,'volumes',4,'done',1795283755507817,1795283755509092);
INSERT INTO "steps" VALUES(11,'attach',2,'undone',1795283755530344,1795283755532383);
INSERT INTO "steps" VALUES(11,'connect',1,'undoing',1795283755533283,1795283755533283);
INSERT INTO "steps" VALUES(11,'note',0,'done',1795283755524435,1795283755525995);
INSERT INTO "steps" VALUES(12,'check',0,'done',1795283755548386,1795283755549960);
INSERT INTO "steps" VALUES(12,'define',5,'done',1795283755562013,1795283755565613);
INSERT INTO "steps" VALUES(12,'directory',2,'done',1795283755551997,1795283755553577);
INSERT INTO "steps" VALUES(12,'disks',3,'done',1795283755554157,1795283755557982);
INSERT INTO "steps" VALUES(12,'images',1,'done',1795283755550606,1795283755551244);
INSERT INTO "steps" VALUES(12,'start',6,'done',1795283755566819,1795283755569943);
INSERT INTO "steps" VALUES(12,'volumes',4,'done',1795283755558766,1795283755561096);
INSERT INTO "steps" VALUES(13,'attach',2,'undone',1795283755590578,1795283755593894);
INSERT INTO "steps" VALUES(13,'connect',1,'stuck',1795283755594729,1795283755596461);
INSERT INTO "steps" VALUES(13,'note',0,'done',1795283755581965,1795283755584111);
INSERT INTO "steps" VALUES(14,'check',0,'done',1795283755610116,1795283755611836);
INSERT INTO "steps" VALUES(14,'define',5,'done',1795283755624382,1795283755628043);
INSERT INTO "steps" VALUES(14,'directory',2,'done',1795283755614100,1795283755615903);
INSERT INTO "steps" VALUES(14,'disks',3,'done',1795283755616818,1795283755620528);
INSERT INTO "steps" VALUES(14,'images',1,'done',1795283755612656,1795283755613378);
INSERT INTO "steps" VALUES(14,'start',6,'done',1795283755629126,1795283755632008);
INSERT INTO "steps" VALUES(14,'volumes',4,'done',1795283755621502,1795283755623322);
INSERT INTO "steps" VALUES(15,'attach',2,'done',1795283755648653,1795283755651905);
INSERT INTO "steps" VALUES(15,'connect',1,'done',1795283755645483,1795283755647620);
INSERT INTO "steps" VALUES(15,'note',0,'done',1795283755641571,1795283755644153);
INSERT INTO "steps" VALUES(16,'detach',1,'done',1795283755667537,1795283755842279);
INSERT INTO "steps" VALUES(16,'disconnect',2,'begun',1795283755843709,1795283755843709);
INSERT INTO "steps" VALUES(16,'remember',0,'done',1795283755665452,1795283755666794);
INSERT INTO "steps" VALUES(17,'check',0,'done',1795283755859626,1795283755861459);
INSERT INTO "steps" VALUES(17,'define',5,'done',1795283755874228,1795283755878543);
INSERT INTO "steps" VALUES(17,'directory',2,'done',1795283755864087,1795283755866474);
INSERT INTO "steps" VALUES(17,'disks',3,'done',1795283755867327,1795283755870610);
INSERT INTO "steps" VALUES(17,'images',1,'done',1795283755862371,1795283755863275);
INSERT INTO "steps" VALUES(17,'start',6,'done',1795283755880388,1795283755883172);
INSERT INTO "steps" VALUES(17,'volumes',4,'done',1795283755871508,1795283755873387);
INSERT INTO "steps" VALUES(18,'attach',1,'begun',1795283755895016,1795283755895016);
INSERT INTO "steps" VALUES(18,'check',0,'done',1795283755892798,1795283755894153);
INSERT INTO "steps" VALUES(19,'check',0,'done',1795283755905820,1795283755907652);
INSERT INTO "steps" VALUES(19,'define',5,'done',1795283755920312,1795283755922248);
INSERT INTO "steps" VALUES(19,'directory',2,'done',1795283755910489,1795283755911915);
INSERT INTO "steps" VALUES(19,'disks',3,'done',1795283755912681,1795283755916716);
INSERT INTO "steps" VALUES(19,'images',1,'done',1795283755908514,1795283755909483);
INSERT INTO "steps" VALUES(19,'start',6,'done',1795283755923005,1795283755925221);
INSERT INTO "steps" VALUES(19,'volumes',4,'done',1795283755917906,1795283755919666);
INSERT INTO "steps" VALUES(20,'power_off',1,'begun',1795283755937740,1795283755937740);
INSERT INTO "steps" VALUES(20,'remember',0,'done',1795283755935239,1795283755936749);
INSERT INTO "steps" VALUES(21,'check',0,'done',1795283755950469,1795283755953064);
INSERT INTO "steps" VALUES(21,'define',5,'done',1795283755971223,1795283755973930);
INSERT INTO "steps" VALUES(21,'directory',2,'done',1795283755956342,1795283755959513);
INSERT INTO "steps" VALUES(21,'disks',3,'done',1795283755960834,1795283755967361);
INSERT INTO "steps" VALUES(21,'images',1,'done',1795283755954153,1795283755955287);
INSERT INTO "steps" VALUES(21,'start',6,'done',1795283755975216,1795283755977527);
INSERT INTO "steps" VALUES(21,'volumes',4,'done',1795283755968551,1795283755970308);
INSERT INTO "steps" VALUES(22,'disks',4,'begun',1795283755996993,1795283755996993);
INSERT INTO "steps" VALUES(22,'power_off',1,'done',1795283755989290,1795283755990944);
INSERT INTO "steps" VALUES(22,'remember',0,'done',1795283755987011,1795283755988434);
INSERT INTO "steps" VALUES(22,'unplug',2,'done',1795283755992090,1795283755993275);
INSERT INTO "steps" VALUES(22,'volumes',3,'done',1795283755994263,1795283755995973);
INSERT INTO "steps" VALUES(23,'check',0,'done',1795283756013762,1795283756015270);
INSERT INTO "steps" VALUES(23,'define',5,'done',1795283756028048,1795283756030254);
INSERT INTO "steps" VALUES(23,'directory',2,'done',1795283756017328,1795283756019158);
INSERT INTO "steps" VALUES(23,'disks',3,'done',1795283756019945,1795283756024182);
INSERT INTO "steps" VALUES(23,'images',1,'done',1795283756015964,1795283756016631);
INSERT INTO "steps" VALUES(23,'start',6,'done',1795283756031024,1795283756033960);
INSERT INTO "steps" VALUES(23,'volumes',4,'done',1795283756025329,1795283756027273);
INSERT INTO "steps" VALUES(24,'pause',0,'begun',1795283756045527,1795283756045527);
INSERT INTO "steps" VALUES(25,'check',0,'done',1795283756058616,1795283756060358);
INSERT INTO "steps" VALUES(25,'define',5,'done',1795283756075106,1795283756077755);
INSERT INTO "steps" VALUES(25,'directory',2,'done',1795283756063728,1795283756065599);
INSERT INTO "steps" VALUES(25,'disks',3,'done',1795283756066431,1795283756070562);
INSERT INTO "steps" VALUES(25,'images',1,'done',1795283756061401,1795283756062638);
INSERT INTO "steps" VALUES(25,'start',6,'done',1795283756079618,1795283756082099);
INSERT INTO "steps" VALUES(25,'volumes',4,'done',1795283756071886,1795283756074167);
INSERT INTO "steps" VALUES(26,'stop',0,'begun',1795283756090219,1795283756090219);
CREATE TABLE waiters (
    operation INTEGER NOT NULL REFERENCES operations (number) ON DELETE CASCADE,
    address TEXT NOT NULL,
    PRIMARY KEY (operation, address)
) STRICT, WITHOUT ROWID;
INSERT INTO "waiters" VALUES(1,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(2,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(3,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(4,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(5,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(9,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(11,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(16,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(18,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(20,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(22,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(24,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
INSERT INTO "waiters" VALUES(26,'{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}');
CREATE INDEX operations_of_instance ON operations (instance_uuid, number);
CREATE INDEX operations_unfinished ON operations (number) WHERE status IN ('queued', 'running');
CREATE INDEX operations_prunable ON operations (ended_at)
    WHERE status IN ('succeeded', 'failed', 'cancelled', 'abandoned');
CREATE INDEX events_unsent ON events (sequence) WHERE sent = 0;
CREATE TRIGGER event_waits AFTER INSERT ON events
BEGIN
    UPDATE journal SET unsent = unsent + 1;
END;
CREATE TRIGGER event_sent AFTER UPDATE OF sent ON events WHEN old.sent = 0 AND new.sent = 1
BEGIN
    UPDATE journal SET unsent = unsent - 1;
END;
CREATE TRIGGER reply_waits AFTER INSERT ON replies
BEGIN
    UPDATE journal SET unsent = unsent + 1;
END;
CREATE TRIGGER reply_sent AFTER DELETE ON replies
BEGIN
    UPDATE journal SET unsent = unsent - 1;
END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('replies',13);
COMMIT;
PRAGMA user_version = 1;
