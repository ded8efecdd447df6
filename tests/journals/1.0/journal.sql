BEGIN TRANSACTION;
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    type TEXT NOT NULL CHECK (length(type) > 0),
    subject TEXT CHECK (length(subject) = 36),
    time INTEGER NOT NULL,
    data TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1))
) STRICT;
INSERT INTO "events" VALUES(1,'compute.instance.spawn.start','dae537da-c62e-5de1-a87e-a02c27deb2da',1795284581388232,'{"request_id":"req-1","operation_id":"07993461-7b05-4b82-b81b-69cffc58f425","generation":1}',0);
INSERT INTO "events" VALUES(2,'compute.instance.spawn.start','59a29cb6-86cc-589e-99e5-20429a6f312a',1795284581461979,'{"request_id":"req-1","operation_id":"2be6e5ea-125f-470a-be1f-4ce05bb0929c","generation":1}',0);
INSERT INTO "events" VALUES(3,'compute.instance.spawn.start','7b3177db-f87d-5e6f-9f53-364fea6053f7',1795284581573797,'{"request_id":"req-1","operation_id":"fe94feee-4361-4b49-a466-58d1dbf5fd8e","generation":1}',0);
INSERT INTO "events" VALUES(4,'compute.instance.spawn.start','bddab5ed-a477-52b5-b59a-8c4d37e815a0',1795284581610802,'{"request_id":"req-1","operation_id":"4a8f45b6-5342-48e3-8134-4fac517aac81","generation":1}',0);
INSERT INTO "events" VALUES(5,'compute.instance.spawn.start','a9221864-2f32-5774-a4e4-a28ab2c7e842',1795284581727580,'{"request_id":"req-1","operation_id":"3ce8a71d-ac41-44a1-886c-9b55870b0b9b","generation":1}',0);
INSERT INTO "events" VALUES(6,'compute.instance.spawn.start','a866cc76-6a35-5eda-afbd-2360513b83fd',1795284581915719,'{"request_id":"req-1","operation_id":"f08ee563-f327-44da-81a4-f6cf5cb3c1f1","generation":1}',0);
INSERT INTO "events" VALUES(7,'compute.instance.spawn.error','a866cc76-6a35-5eda-afbd-2360513b83fd',1795284582195078,'{"error":{"code":"timed_out","message":"domains.start was told to fail (after)","retryable":false,"details":{},"incident":null},"request_id":"req-1","operation_id":"f08ee563-f327-44da-81a4-f6cf5cb3c1f1","generation":1}',0);
INSERT INTO "events" VALUES(8,'compute.instance.spawn.start','20f65820-b409-50ff-a818-be3c7f4f0265',1795284582339569,'{"request_id":"req-1","operation_id":"ba0172a2-cca0-4768-84d8-98b408956e9c","generation":1}',0);
INSERT INTO "events" VALUES(9,'compute.instance.spawn.end','20f65820-b409-50ff-a818-be3c7f4f0265',1795284582584413,'{"operation_id":"ba0172a2-cca0-4768-84d8-98b408956e9c","instance_uuid":"20f65820-b409-50ff-a818-be3c7f4f0265","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(10,'compute.instance.spawn.start','04271a9e-cc9a-58c7-8016-90aaa1323757',1795284582620032,'{"request_id":"req-1","operation_id":"3bc207f6-cf1d-40d9-89c7-90fb96c697da","generation":1}',0);
INSERT INTO "events" VALUES(11,'compute.instance.spawn.end','04271a9e-cc9a-58c7-8016-90aaa1323757',1795284582873522,'{"operation_id":"3bc207f6-cf1d-40d9-89c7-90fb96c697da","instance_uuid":"04271a9e-cc9a-58c7-8016-90aaa1323757","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(12,'compute.instance.attach_volume.start','04271a9e-cc9a-58c7-8016-90aaa1323757',1795284582908066,'{"request_id":"req-1","operation_id":"129649dc-d5d0-48f8-a503-e634c294cb27","generation":2}',0);
INSERT INTO "events" VALUES(13,'compute.instance.spawn.start','18b2fb47-a188-5cfa-a159-041e1ccd5d49',1795284583004342,'{"request_id":"req-1","operation_id":"e50b4f77-2765-4b01-a835-5e9819a2b30c","generation":1}',0);
INSERT INTO "events" VALUES(14,'compute.instance.spawn.end','18b2fb47-a188-5cfa-a159-041e1ccd5d49',1795284583143799,'{"operation_id":"e50b4f77-2765-4b01-a835-5e9819a2b30c","instance_uuid":"18b2fb47-a188-5cfa-a159-041e1ccd5d49","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(15,'compute.instance.attach_volume.start','18b2fb47-a188-5cfa-a159-041e1ccd5d49',1795284583156781,'{"request_id":"req-1","operation_id":"69190ba9-fa55-4a67-bafd-36ae0ff6277a","generation":2}',0);
INSERT INTO "events" VALUES(16,'compute.instance.spawn.start','e928e3f4-c56e-5e57-9d09-687b6d837a75',1795284583219868,'{"request_id":"req-1","operation_id":"49d540ae-b385-44e6-bf68-126651441d6a","generation":1}',0);
INSERT INTO "events" VALUES(17,'compute.instance.spawn.end','e928e3f4-c56e-5e57-9d09-687b6d837a75',1795284583288531,'{"operation_id":"49d540ae-b385-44e6-bf68-126651441d6a","instance_uuid":"e928e3f4-c56e-5e57-9d09-687b6d837a75","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(18,'compute.instance.attach_volume.start','e928e3f4-c56e-5e57-9d09-687b6d837a75',1795284583304211,'{"request_id":"req-1","operation_id":"81502600-604c-4747-b37e-98ad8f963ac9","generation":2}',0);
INSERT INTO "events" VALUES(19,'compute.instance.attach_volume.error','e928e3f4-c56e-5e57-9d09-687b6d837a75',1795284583367491,'{"error":{"code":"operation_stuck","message":"attach_volume: step connect could not be undone: volumes.disconnect was told to fail (before)","retryable":false,"details":{"step":"connect"},"incident":null},"request_id":"req-1","operation_id":"81502600-604c-4747-b37e-98ad8f963ac9","generation":2}',0);
INSERT INTO "events" VALUES(20,'compute.instance.spawn.start','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795284583385271,'{"request_id":"req-1","operation_id":"c3039e14-cb4d-4da8-8302-2123de747bbc","generation":1}',0);
INSERT INTO "events" VALUES(21,'compute.instance.spawn.end','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795284583477756,'{"operation_id":"c3039e14-cb4d-4da8-8302-2123de747bbc","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(22,'compute.instance.attach_volume.start','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795284583494245,'{"request_id":"req-1","operation_id":"8efe6e67-bd0a-4217-ac96-aef0cd8e68f1","generation":2}',0);
INSERT INTO "events" VALUES(23,'compute.instance.attach_volume.end','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795284583531998,'{"operation_id":"8efe6e67-bd0a-4217-ac96-aef0cd8e68f1","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":2,"power_state":"running","already":false,"attached":"vol-detaching-more","request_id":"req-1"}',0);
INSERT INTO "events" VALUES(24,'compute.instance.detach_volume.start','ef2dd48a-97b8-57c4-a6f3-095ac2c4662b',1795284583543561,'{"request_id":"req-1","operation_id":"c1f1b52c-1d27-41b8-8478-84c4dd953dca","generation":3}',0);
INSERT INTO "events" VALUES(25,'compute.instance.spawn.start','160d7db4-5182-5760-8969-4a40a75333a8',1795284583743165,'{"request_id":"req-1","operation_id":"61fc67be-a33b-44ae-91a7-a5d574ae3f8e","generation":1}',0);
INSERT INTO "events" VALUES(26,'compute.instance.spawn.end','160d7db4-5182-5760-8969-4a40a75333a8',1795284583888665,'{"operation_id":"61fc67be-a33b-44ae-91a7-a5d574ae3f8e","instance_uuid":"160d7db4-5182-5760-8969-4a40a75333a8","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(27,'compute.instance.attach_interface.start','160d7db4-5182-5760-8969-4a40a75333a8',1795284583912698,'{"request_id":"req-1","operation_id":"2a5cee0f-6ef9-432a-bf6e-1b00dbd9a9fe","generation":2}',0);
INSERT INTO "events" VALUES(28,'compute.instance.spawn.start','9b88ca28-fb29-5546-8ec0-f9b4f3cde588',1795284583957469,'{"request_id":"req-1","operation_id":"317b8e71-7833-46bc-a8d4-75433f3996bb","generation":1}',0);
INSERT INTO "events" VALUES(29,'compute.instance.spawn.end','9b88ca28-fb29-5546-8ec0-f9b4f3cde588',1795284584192838,'{"operation_id":"317b8e71-7833-46bc-a8d4-75433f3996bb","instance_uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(30,'compute.instance.destroy.start','9b88ca28-fb29-5546-8ec0-f9b4f3cde588',1795284584228407,'{"request_id":"req-1","operation_id":"86389569-978c-4dd2-b87d-de17d7f1e2f5","generation":2}',0);
INSERT INTO "events" VALUES(31,'compute.instance.spawn.start','0747c156-d36e-5346-b4be-e92cee14f86a',1795284584294270,'{"request_id":"req-1","operation_id":"7a7987e7-2f81-4ed3-a2e1-c985417e2e52","generation":1}',0);
INSERT INTO "events" VALUES(32,'compute.instance.spawn.end','0747c156-d36e-5346-b4be-e92cee14f86a',1795284584490410,'{"operation_id":"7a7987e7-2f81-4ed3-a2e1-c985417e2e52","instance_uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(33,'compute.instance.destroy.start','0747c156-d36e-5346-b4be-e92cee14f86a',1795284584805974,'{"request_id":"req-1","operation_id":"33db8130-9947-4b99-b9d0-bab1f8285063","generation":2}',0);
INSERT INTO "events" VALUES(34,'compute.instance.spawn.start','a1ce61fb-28f3-5450-b9e0-47d4efb13952',1795284584954589,'{"request_id":"req-1","operation_id":"47f812c4-89fa-490b-9762-6227daab2940","generation":1}',0);
INSERT INTO "events" VALUES(35,'compute.instance.spawn.end','a1ce61fb-28f3-5450-b9e0-47d4efb13952',1795284585031702,'{"operation_id":"47f812c4-89fa-490b-9762-6227daab2940","instance_uuid":"a1ce61fb-28f3-5450-b9e0-47d4efb13952","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(36,'compute.instance.pause.start','a1ce61fb-28f3-5450-b9e0-47d4efb13952',1795284585064528,'{"request_id":"req-1","operation_id":"9fed1a41-3187-4857-9fe5-38ffda491306","generation":2}',0);
INSERT INTO "events" VALUES(37,'compute.instance.spawn.start','4b49c367-32d0-59db-b7ad-c5db02a4c9bf',1795284585089159,'{"request_id":"req-1","operation_id":"6283c924-95de-4213-a3b4-4883cfcdd7a4","generation":1}',0);
INSERT INTO "events" VALUES(38,'compute.instance.spawn.end','4b49c367-32d0-59db-b7ad-c5db02a4c9bf',1795284585257535,'{"operation_id":"6283c924-95de-4213-a3b4-4883cfcdd7a4","instance_uuid":"4b49c367-32d0-59db-b7ad-c5db02a4c9bf","generation":1,"power_state":"running","already":false,"request_id":"req-1"}',0);
INSERT INTO "events" VALUES(39,'compute.instance.stop.start','4b49c367-32d0-59db-b7ad-c5db02a4c9bf',1795284585314783,'{"request_id":"req-1","operation_id":"b0ddf427-0127-4280-acfd-ccb5860bad04","generation":2}',0);
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
, boot_id TEXT) STRICT;
INSERT INTO "journal" VALUES(1,'h1','4574c3a9-ea33-4b94-b8f3-b187cb9e4c67','bc7dee906edf580be2b3c3d8d5272aa5d513754da2cdede03c06853774463a99',39,52,NULL);
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
INSERT INTO "operations" VALUES(1,'07993461-7b05-4b82-b81b-69cffc58f425','recorded/spawn-making-disks','same','spawn','spawn',1,'dae537da-c62e-5de1-a87e-a02c27deb2da','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284581363067,1795284581388232,NULL,4102444800000000,NULL,'{"instance_uuid":"dae537da-c62e-5de1-a87e-a02c27deb2da","generation":1,"spec":{"uuid":"dae537da-c62e-5de1-a87e-a02c27deb2da","name":"spawn-making-disks","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-making-disks","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-making-disks","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-making-disks"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5lSofI7KCslpfDOIwvgTMiR-YptINMDQDbeRBMlZZ-JZ3ELr_4BCL4okHRLGVvK_zyVodJ_LaGkh0uz5030iI_9il3OsjNDKrGO-W4lTzed3Y="}}}],"interfaces":[{"port_id":"p-spawn-making-disks","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-making-disks","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAd5l4X26YTYGhLmIpuQEXWDfADkB8qeCucRECssZXZHVioJ6f4n87kAmbO5xAmcsYnaE4WJxkgpT8LB56e-0VZr2lfD_-STpQZWxaFmBDNWXdIQ="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[]}',NULL,'{}');
INSERT INTO "operations" VALUES(2,'2be6e5ea-125f-470a-be1f-4ce05bb0929c','recorded/spawn-defining','same','spawn','spawn',1,'59a29cb6-86cc-589e-99e5-20429a6f312a','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284581454044,1795284581461979,NULL,4102444800000000,NULL,'{"instance_uuid":"59a29cb6-86cc-589e-99e5-20429a6f312a","generation":1,"spec":{"uuid":"59a29cb6-86cc-589e-99e5-20429a6f312a","name":"spawn-defining","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-defining","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-defining","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-defining"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5l7ATun6wor16pCM07aVkBk_9lvlFQa3hvEltuMRCVFejC-nUEYECsacTob02dtHAVg7kluoCLVu40nmYhU5NDZpyB1PK27hUCvcvAlxRTuGM="}}}],"interfaces":[{"port_id":"p-spawn-defining","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-defining","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAd5lRZcW82Wn--Mwg7WnnJqEzflvh0FE_rIihmJOMp_t80q1rpOwRoCSGob5obAmsUgCco9Rjb-iKBy4XDsaH_yDjBSGdMow-JPZJBlze_7RWW8="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-defining","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-defining","format":"raw"},"device":"disk","serial":"vol-spawn-defining","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}',NULL,'{}');
INSERT INTO "operations" VALUES(3,'fe94feee-4361-4b49-a466-58d1dbf5fd8e','recorded/spawn-starting','same','spawn','spawn',1,'7b3177db-f87d-5e6f-9f53-364fea6053f7','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284581567593,1795284581573797,NULL,4102444800000000,NULL,'{"instance_uuid":"7b3177db-f87d-5e6f-9f53-364fea6053f7","generation":1,"spec":{"uuid":"7b3177db-f87d-5e6f-9f53-364fea6053f7","name":"spawn-starting","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-starting","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-starting","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-starting"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5l1hYsGrFqWVaGOIXq_6XbyEIURj6weZ7f82EKtstT5cSdr9GoPKd5f2ivcmhW3eCfMGU38V3VW7-ABIShKZsd3KmbjbXqXjGPTxR9e2Wg4vE="}}}],"interfaces":[{"port_id":"p-spawn-starting","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-starting","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAd5llnX6gSiLB_jB5MOpcJj6N_gWOKc7-bc1ObDcl883l0Ukaib7hGPOH8GgnRKE48VHFCzwqIOjxMp_gXY8pb-_oDRI6i1aYoymv_At3LiBKRA="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-starting","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-starting","format":"raw"},"device":"disk","serial":"vol-spawn-starting","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}',NULL,'{}');
INSERT INTO "operations" VALUES(4,'4a8f45b6-5342-48e3-8134-4fac517aac81','recorded/spawn-too-late','same','spawn','spawn',1,'bddab5ed-a477-52b5-b59a-8c4d37e815a0','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284581608548,1795284581610802,NULL,978307200000000,NULL,'{"instance_uuid":"bddab5ed-a477-52b5-b59a-8c4d37e815a0","generation":1,"spec":{"uuid":"bddab5ed-a477-52b5-b59a-8c4d37e815a0","name":"spawn-too-late","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-too-late","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-too-late","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-too-late"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5l5LeX2HIMGuUHbvgGtJmxNLVUrPw7i_27Z_qSui6nMbO09I2EdehEDHq8eWjmyinErlo5BrDV2Ta4PNOkEduuxQLasTqVUXgV0eepmBkLh1A="}}}],"interfaces":[{"port_id":"p-spawn-too-late","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-too-late","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAd5lRIh_OMTUM2ZC4O7EofBwm-6Cw48MdvW9e1U221OjMLkFNEYCQG9stA5V0fBWzKb5kvpxbjdr3Mgu0oJEbDczo-0IM5gBvl62WljA3tl3sx4="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-too-late","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-too-late","format":"raw"},"device":"disk","serial":"vol-spawn-too-late","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}',NULL,'{}');
INSERT INTO "operations" VALUES(5,'3ce8a71d-ac41-44a1-886c-9b55870b0b9b','recorded/spawn-undoing','same','spawn','spawn',1,'a9221864-2f32-5774-a4e4-a28ab2c7e842','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284581723901,1795284581727580,NULL,4102444800000000,NULL,'{"instance_uuid":"a9221864-2f32-5774-a4e4-a28ab2c7e842","generation":1,"spec":{"uuid":"a9221864-2f32-5774-a4e4-a28ab2c7e842","name":"spawn-undoing","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-undoing","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-undoing","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-undoing"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5lDTEEhehNHRsbVAAukzIanuKfMJ6OxfLjg70TRvRdDUSbrBqa2R1QJ1oH7fDiulgar8IcAR_CDb5UbCQXNB4UmqkmR1XD3nhrzZQ5Zv381Kk="}}}],"interfaces":[{"port_id":"p-spawn-undoing","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-undoing","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAd5l2PH114uA7S3vux3Kw506WIiR_SvXGkK3f5uMa6at5JAg5f46OSof9AzPCk4JtqgdUJhIdP3w3A7ETgHM7T5NCwfOMgStL_PCL74PxfM0ZdM="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-undoing","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-undoing","format":"raw"},"device":"disk","serial":"vol-spawn-undoing","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}',NULL,'{}');
INSERT INTO "operations" VALUES(6,'f08ee563-f327-44da-81a4-f6cf5cb3c1f1','recorded/spawn-unknown','same','spawn','spawn',1,'a866cc76-6a35-5eda-afbd-2360513b83fd','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','unknown',1795284581902851,1795284581915719,1795284582195078,4102444800000000,NULL,'{"instance_uuid":"a866cc76-6a35-5eda-afbd-2360513b83fd","generation":1,"spec":{"uuid":"a866cc76-6a35-5eda-afbd-2360513b83fd","name":"spawn-unknown","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-spawn-unknown","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-spawn-unknown","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-unknown"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5mNzPadb423M5-1CATjjbFhwOs_AwAcDHJupzd3ScLbZIYp8-Pj9puhTU0QhLY78vgG9r40al6efmfFJMnjT6TYDl9f0TRWXGPeFm-Byn24WA="}}}],"interfaces":[{"port_id":"p-spawn-unknown","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"spawn-unknown","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAd5mkl10-XIHG0Hqtf7b5abz9ERHQSQQFVI1rrN7RHm3nG_7zItGlOeVjZ_Z1cvGuSLvzep-C1FYMKoWwjRfS5F44W7fwAUlGP-9rRYxVTLG1B4="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"id":"vol-spawn-unknown","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"spawn-unknown","format":"raw"},"device":"disk","serial":"vol-spawn-unknown","boot_index":1,"cache":null,"readonly":false,"target":null,"removable":true}]}','{"result":null,"error":{"code":"timed_out","message":"domains.start was told to fail (after)","retryable":false,"details":{},"incident":null}}','{"libvirt":0.017323266998573672,"journal":0.22269142199911585,"total":0.27765884600012214,"queued":0.012225,"own":0.26033557900154847}');
INSERT INTO "operations" VALUES(7,'ba0172a2-cca0-4768-84d8-98b408956e9c','recorded/spawned','same','spawn','spawn',1,'20f65820-b409-50ff-a818-be3c7f4f0265','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284582330900,1795284582339569,1795284582584413,4102444800000000,NULL,NULL,'{"result":{"operation_id":"ba0172a2-cca0-4768-84d8-98b408956e9c","instance_uuid":"20f65820-b409-50ff-a818-be3c7f4f0265","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.026200906999292783,"journal":0.18188868099787214,"total":0.24503149399970425,"queued":0.008125,"own":0.21883058700041147}');
INSERT INTO "operations" VALUES(8,'3bc207f6-cf1d-40d9-89c7-90fb96c697da','test/49e797c5-49f5-481b-a9b3-c7eda5da48ec','same','spawn','spawn',1,'04271a9e-cc9a-58c7-8016-90aaa1323757','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284582603408,1795284582620032,1795284582873522,NULL,NULL,NULL,'{"result":{"operation_id":"3bc207f6-cf1d-40d9-89c7-90fb96c697da","instance_uuid":"04271a9e-cc9a-58c7-8016-90aaa1323757","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.013071870002022479,"journal":0.17924188200231583,"total":0.2536966170009691,"queued":0.015955,"own":0.24062474699894665}');
INSERT INTO "operations" VALUES(9,'129649dc-d5d0-48f8-a503-e634c294cb27','recorded/attaching','same','attach_volume','attach_volume',1,'04271a9e-cc9a-58c7-8016-90aaa1323757','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284582895281,1795284582908066,NULL,NULL,NULL,'{"instance_uuid":"04271a9e-cc9a-58c7-8016-90aaa1323757","generation":2,"connection":{"volume_id":"vol-attaching-more","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attaching-more"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5mm2iWg9BfXCj7-t6F1555s2idreJifhecNpOpnqQrOZGXKbd_7PvFT7oSDosFU6QqLjx3QPESJDUTyzQV8RDMw_Mpas76pZBIZ0u79vW3YeI="}},"bus":"virtio","boot_index":null,"device":null,"disk":{"id":"vol-attaching-more","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attaching-more","format":"raw"},"device":"disk","serial":"vol-attaching-more","boot_index":null,"cache":null,"readonly":false,"target":null,"removable":true}}',NULL,'{}');
INSERT INTO "operations" VALUES(10,'e50b4f77-2765-4b01-a835-5e9819a2b30c','test/dc276fb3-d8b2-496b-bc47-331cec21f877','same','spawn','spawn',1,'18b2fb47-a188-5cfa-a159-041e1ccd5d49','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284582987605,1795284583004342,1795284583143799,NULL,NULL,NULL,'{"result":{"operation_id":"e50b4f77-2765-4b01-a835-5e9819a2b30c","instance_uuid":"18b2fb47-a188-5cfa-a159-041e1ccd5d49","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.031068508995304,"journal":0.09467026000311307,"total":0.1401979090005625,"queued":0.015651,"own":0.1091294000052585}');
INSERT INTO "operations" VALUES(11,'69190ba9-fa55-4a67-bafd-36ae0ff6277a','recorded/attach-undoing','same','attach_volume','attach_volume',1,'18b2fb47-a188-5cfa-a159-041e1ccd5d49','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284583153422,1795284583156781,NULL,NULL,NULL,'{"instance_uuid":"18b2fb47-a188-5cfa-a159-041e1ccd5d49","generation":2,"connection":{"volume_id":"vol-attach-undoing-more","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attach-undoing-more"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5nZnhQwiIDP4AWMfEytp2s4TeZm1cjPYdPDNaOwmkdAmoLiJwvcPX3ZOUiPZSgETCBSP2gBwkfrI49FMjUNFwCeApe8YdSnZEel0witJbQNLY="}},"bus":"virtio","boot_index":null,"device":null,"disk":{"id":"vol-attach-undoing-more","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attach-undoing-more","format":"raw"},"device":"disk","serial":"vol-attach-undoing-more","boot_index":null,"cache":null,"readonly":false,"target":null,"removable":true}}',NULL,'{}');
INSERT INTO "operations" VALUES(12,'49d540ae-b385-44e6-bf68-126651441d6a','test/1af9b5f2-693a-411b-9907-13d5356e8ddb','same','spawn','spawn',1,'e928e3f4-c56e-5e57-9d09-687b6d837a75','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284583212090,1795284583219868,1795284583288531,NULL,NULL,NULL,'{"result":{"operation_id":"49d540ae-b385-44e6-bf68-126651441d6a","instance_uuid":"e928e3f4-c56e-5e57-9d09-687b6d837a75","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.021660125001289998,"journal":0.03297386600206664,"total":0.0690930210002989,"queued":0.006996,"own":0.047432895999008906}');
INSERT INTO "operations" VALUES(13,'81502600-604c-4747-b37e-98ad8f963ac9','recorded/attach-stuck','same','attach_volume','attach_volume',1,'e928e3f4-c56e-5e57-9d09-687b6d837a75','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','stuck',1795284583297788,1795284583304211,1795284583367491,NULL,NULL,'{"instance_uuid":"e928e3f4-c56e-5e57-9d09-687b6d837a75","generation":2,"connection":{"volume_id":"vol-attach-stuck-more","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attach-stuck-more"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5n0wODje_1rmnQYsqts6lNjnXFC-GwtSgDIcGMY4L3Bq-O6qlBItCB4yVbs7VO08ARdbB4C0hVLh6J0o3CB9JwHvjrHI5aqQSy4TCNsl4w-0I="}},"bus":"virtio","boot_index":null,"device":null,"disk":{"id":"vol-attach-stuck-more","bus":"virtio","backing":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"attach-stuck-more","format":"raw"},"device":"disk","serial":"vol-attach-stuck-more","boot_index":null,"cache":null,"readonly":false,"target":null,"removable":true}}','{"result":null,"error":{"code":"operation_stuck","message":"attach_volume: step connect could not be undone: volumes.disconnect was told to fail (before)","retryable":false,"details":{"step":"connect"},"incident":null}}','{"libvirt":0.013458512001307099,"journal":0.030980658002590644,"total":0.06215156500002195,"queued":0.00572,"own":0.04869305299871485}');
INSERT INTO "operations" VALUES(14,'c3039e14-cb4d-4da8-8302-2123de747bbc','test/47d39e55-db9c-4e45-8186-6472e97bbfe3','same','spawn','spawn',1,'ef2dd48a-97b8-57c4-a6f3-095ac2c4662b','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284583382270,1795284583385271,1795284583477756,NULL,NULL,NULL,'{"result":{"operation_id":"c3039e14-cb4d-4da8-8302-2123de747bbc","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.02023759800249536,"journal":0.047489200997006265,"total":0.09303980200093065,"queued":0.001926,"own":0.07280220399843529}');
INSERT INTO "operations" VALUES(15,'8efe6e67-bd0a-4217-ac96-aef0cd8e68f1','test/44bd00c2-8267-4eef-8d8e-62af2b0cd4e2','same','attach_volume','attach_volume',1,'ef2dd48a-97b8-57c4-a6f3-095ac2c4662b','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284583488815,1795284583494245,1795284583531998,NULL,NULL,NULL,'{"result":{"operation_id":"8efe6e67-bd0a-4217-ac96-aef0cd8e68f1","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":2,"power_state":"running","already":false,"attached":"vol-detaching-more"},"error":null}','{"libvirt":0.019980237000709167,"journal":0.017362135002258583,"total":0.03930052499890735,"queued":0.003496,"own":0.019320287998198182}');
INSERT INTO "operations" VALUES(16,'c1f1b52c-1d27-41b8-8478-84c4dd953dca','recorded/detaching','same','detach_volume','detach_volume',1,'ef2dd48a-97b8-57c4-a6f3-095ac2c4662b','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284583541271,1795284583543561,NULL,NULL,NULL,'{"instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":3,"volume_id":"vol-detaching-more","connection":{"volume_id":"vol-detaching-more","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"detaching-more"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5n_iipOCMYChF1_1xDWR-G_j4rpybA4b1DbWi-I9jTV7adE3HqW-4onhhq7mCMODoCz1MTnq0Qck_GWiLltOHRJ1lf0p2bff1eSyspM9wgbsg="}}}',NULL,'{}');
INSERT INTO "operations" VALUES(17,'61fc67be-a33b-44ae-91a7-a5d574ae3f8e','test/21dddbd7-9d30-4433-9ff9-8f29dd014c21','same','spawn','spawn',1,'160d7db4-5182-5760-8969-4a40a75333a8','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284583720445,1795284583743165,1795284583888665,NULL,NULL,NULL,'{"result":{"operation_id":"61fc67be-a33b-44ae-91a7-a5d574ae3f8e","instance_uuid":"160d7db4-5182-5760-8969-4a40a75333a8","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.015637555998182506,"journal":0.09799049600223952,"total":0.14576553000006243,"queued":0.022104,"own":0.13012797400187992}');
INSERT INTO "operations" VALUES(18,'2a5cee0f-6ef9-432a-bf6e-1b00dbd9a9fe','recorded/plugging','same','attach_interface','attach_interface',1,'160d7db4-5182-5760-8969-4a40a75333a8','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284583907280,1795284583912698,NULL,NULL,NULL,'{"instance_uuid":"160d7db4-5182-5760-8969-4a40a75333a8","generation":2,"interface":{"port_id":"p2-plugging","mac_address":"52:54:00:00:00:02","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"bridge","bridge":"br0"}}',NULL,'{}');
INSERT INTO "operations" VALUES(19,'317b8e71-7833-46bc-a8d4-75433f3996bb','test/9657a821-8a88-4865-8ef5-88b2b6b43b15','same','spawn','spawn',1,'9b88ca28-fb29-5546-8ec0-f9b4f3cde588','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284583947664,1795284583957469,1795284584192838,NULL,NULL,NULL,'{"result":{"operation_id":"317b8e71-7833-46bc-a8d4-75433f3996bb","instance_uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.052777532999243704,"journal":0.17156568999598676,"total":0.23562552700059314,"queued":0.009214,"own":0.18284799400134943}');
INSERT INTO "operations" VALUES(20,'86389569-978c-4dd2-b87d-de17d7f1e2f5','recorded/destroying-early','same','destroy','destroy',1,'9b88ca28-fb29-5546-8ec0-f9b4f3cde588','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284584214829,1795284584228407,NULL,NULL,NULL,'{"instance_uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","generation":2,"delete_disks":true,"spec":{"uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","name":"destroying-early","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-destroying-early","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-destroying-early","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"destroying-early"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5omZ7fpg9Iyywq-QYJkcWWDb-I1EfC06Dz0Mjs5vUTbfhrn5CottuJKnqVjHmci3Mw5N0hbYXu_ndRjG9mbGevug=="}}}],"interfaces":[{"port_id":"p-destroying-early","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"destroying-early","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAd5oyz_2GogMQrZMUzLxuXnN9PhovcxjDqRl8XMcfktcU4O6rqN8rRAsJeP6iqwufZ9_R4oPsU5UeJs_NISVfX0KsA=="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"volume_id":"vol-destroying-early","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"destroying-early"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5ozbDnc8tKr9QRBDYni8jlb7PZo8oxyDunsImnLR2fx6RwLrDRsGdhdWZA6F86v7oe-XfbiakSiduJM0GY_yjhBQ=="}}]}',NULL,'{}');
INSERT INTO "operations" VALUES(21,'7a7987e7-2f81-4ed3-a2e1-c985417e2e52','test/e7f26f12-bc4b-4964-ac6e-5203c6395a4d','same','spawn','spawn',1,'0747c156-d36e-5346-b4be-e92cee14f86a','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284584285778,1795284584294270,1795284584490410,NULL,NULL,NULL,'{"result":{"operation_id":"7a7987e7-2f81-4ed3-a2e1-c985417e2e52","instance_uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.017606940999030485,"journal":0.12970295699960843,"total":0.19683629300016037,"queued":0.007457,"own":0.17922935200112988}');
INSERT INTO "operations" VALUES(22,'33db8130-9947-4b99-b9d0-bab1f8285063','recorded/destroying-late','same','destroy','destroy',1,'0747c156-d36e-5346-b4be-e92cee14f86a','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284584798337,1795284584805974,NULL,NULL,NULL,'{"instance_uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","generation":2,"delete_disks":true,"spec":{"uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","name":"destroying-late","vcpus":1,"memory_mb":64,"disks":[{"id":"disk0","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"blank","size_mb":1,"format":"qcow2"},{"id":"vol-destroying-late","bus":"virtio","boot_index":null,"serial":null,"cache":null,"kind":"volume","device":null,"connection":{"volume_id":"vol-destroying-late","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"destroying-late"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5oKTt6DPq2jiCZfaUP5H0fsAdbIkkHBUlpMC0DmVy9vtrzTp3fcD-zs5LL-k15GY6pVuK5rgBzXq9FATpDc2EN6A=="}}}],"interfaces":[{"port_id":"p-destroying-late","mac_address":"52:54:00:00:00:01","model":"virtio","mtu":null,"fixed_ips":[],"dns_servers":[],"type":"user"}],"config_drive":{"hostname":"destroying-late","meta":{},"user_data":null,"admin_pass":{"sealed":"gAAAAABrAd5oXjUsNGIDyGsyvs3X6nm7lyotxFu70X_oMPPWRssmyt4Lay62wk1xZIH4XANvMOsUyIHANsMxxnCLCFsBu3vEYg=="},"public_keys":{},"files":[]},"cpu":{"mode":null,"model":null,"sockets":null,"cores":null,"threads":null},"machine":{"type":"q35","hotplug_ports":8},"firmware":"bios","clock":"utc","console":{"type":"pty","log":true},"graphics":{"type":"vnc"},"guest_agent":true,"metadata":{},"owner":{"project_id":null,"user_id":null}},"volumes":[{"volume_id":"vol-destroying-late","target":{"type":"nbd","host":"storage.example","port":10809,"socket":null,"export":"destroying-late"},"access_mode":"rw","auth_username":"u","auth_password":{"sealed":"gAAAAABrAd5o4zrOWlyFzZEtPVtc60H0w3waTpQ4yqulonMuSh3An-3Pya38iwHQka1CiJCcywW33X1BMZcitGz8ddWD3pey3w=="}}]}',NULL,'{}');
INSERT INTO "operations" VALUES(23,'47f812c4-89fa-490b-9762-6227daab2940','test/648913a1-d0bd-43dd-b8c7-512b949d1ef4','same','spawn','spawn',1,'a1ce61fb-28f3-5450-b9e0-47d4efb13952','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284584949094,1795284584954589,1795284585031702,NULL,NULL,NULL,'{"result":{"operation_id":"47f812c4-89fa-490b-9762-6227daab2940","instance_uuid":"a1ce61fb-28f3-5450-b9e0-47d4efb13952","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.03426293499796884,"journal":0.03704910100350389,"total":0.07718130600005679,"queued":0.004829,"own":0.04291837100208795}');
INSERT INTO "operations" VALUES(24,'9fed1a41-3187-4857-9fe5-38ffda491306','recorded/pausing','same','pause','pause',1,'a1ce61fb-28f3-5450-b9e0-47d4efb13952','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284585049295,1795284585064528,NULL,NULL,NULL,'{"instance_uuid":"a1ce61fb-28f3-5450-b9e0-47d4efb13952","generation":2}',NULL,'{}');
INSERT INTO "operations" VALUES(25,'6283c924-95de-4213-a3b4-4883cfcdd7a4','test/3c43db85-a97e-4813-b707-25674326430f','same','spawn','spawn',1,'4b49c367-32d0-59db-b7ad-c5db02a4c9bf','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','succeeded',1795284585085000,1795284585089159,1795284585257535,NULL,NULL,NULL,'{"result":{"operation_id":"6283c924-95de-4213-a3b4-4883cfcdd7a4","instance_uuid":"4b49c367-32d0-59db-b7ad-c5db02a4c9bf","generation":1,"power_state":"running","already":false},"error":null}','{"libvirt":0.01699103099963395,"journal":0.1171268260004581,"total":0.16892912899857038,"queued":0.003288,"own":0.15193809799893643}');
INSERT INTO "operations" VALUES(26,'b0ddf427-0127-4280-acfd-ccb5860bad04','recorded/stopping','same','stop','stop',1,'4b49c367-32d0-59db-b7ad-c5db02a4c9bf','{"request_id":"req-1","global_request_id":null,"user_id":null,"project_id":null}','running',1795284585284345,1795284585314783,NULL,NULL,NULL,'{"instance_uuid":"4b49c367-32d0-59db-b7ad-c5db02a4c9bf","generation":2,"graceful":false,"timeout_s":60.0}',NULL,'{}');
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
INSERT INTO "replies" VALUES(1,'5aa4b097-d8ab-44e9-8389-1266f063d5f6','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":null,"error":{"code":"timed_out","message":"domains.start was told to fail (after)","retryable":false,"details":{},"incident":null}}',1795284582195078);
INSERT INTO "replies" VALUES(2,'10b7c263-5eaa-47cb-89dc-4845dcfc6726','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"ba0172a2-cca0-4768-84d8-98b408956e9c","instance_uuid":"20f65820-b409-50ff-a818-be3c7f4f0265","generation":1,"power_state":"running","already":false},"error":null}',1795284582584413);
INSERT INTO "replies" VALUES(3,'c9da4551-ec9e-4b52-a033-ab6eb08051d3','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"3bc207f6-cf1d-40d9-89c7-90fb96c697da","instance_uuid":"04271a9e-cc9a-58c7-8016-90aaa1323757","generation":1,"power_state":"running","already":false},"error":null}',1795284582873522);
INSERT INTO "replies" VALUES(4,'2c267b64-9194-4c78-90e4-f2e496a9a305','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"e50b4f77-2765-4b01-a835-5e9819a2b30c","instance_uuid":"18b2fb47-a188-5cfa-a159-041e1ccd5d49","generation":1,"power_state":"running","already":false},"error":null}',1795284583143799);
INSERT INTO "replies" VALUES(5,'6360c021-8119-4b0a-8cf8-57e62f3549f6','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"49d540ae-b385-44e6-bf68-126651441d6a","instance_uuid":"e928e3f4-c56e-5e57-9d09-687b6d837a75","generation":1,"power_state":"running","already":false},"error":null}',1795284583288531);
INSERT INTO "replies" VALUES(6,'54ce1caf-3337-469c-ac09-096d0c16a8f6','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":null,"error":{"code":"operation_stuck","message":"attach_volume: step connect could not be undone: volumes.disconnect was told to fail (before)","retryable":false,"details":{"step":"connect"},"incident":null}}',1795284583367491);
INSERT INTO "replies" VALUES(7,'25ac3ca4-eab8-4992-8b82-86eb55c0e8d9','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"c3039e14-cb4d-4da8-8302-2123de747bbc","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":1,"power_state":"running","already":false},"error":null}',1795284583477756);
INSERT INTO "replies" VALUES(8,'e7d92286-f38c-4f97-91ca-d21e9ad8271f','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"8efe6e67-bd0a-4217-ac96-aef0cd8e68f1","instance_uuid":"ef2dd48a-97b8-57c4-a6f3-095ac2c4662b","generation":2,"power_state":"running","already":false,"attached":"vol-detaching-more"},"error":null}',1795284583531998);
INSERT INTO "replies" VALUES(9,'31b4731b-b04e-4ea0-b621-1ee4cc9c676f','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"61fc67be-a33b-44ae-91a7-a5d574ae3f8e","instance_uuid":"160d7db4-5182-5760-8969-4a40a75333a8","generation":1,"power_state":"running","already":false},"error":null}',1795284583888665);
INSERT INTO "replies" VALUES(10,'8b07e900-7210-4b9d-ac3b-04d7e8a28235','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"317b8e71-7833-46bc-a8d4-75433f3996bb","instance_uuid":"9b88ca28-fb29-5546-8ec0-f9b4f3cde588","generation":1,"power_state":"running","already":false},"error":null}',1795284584192838);
INSERT INTO "replies" VALUES(11,'abf22dd0-9fb1-4aef-b62a-d561baae01e7','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"7a7987e7-2f81-4ed3-a2e1-c985417e2e52","instance_uuid":"0747c156-d36e-5346-b4be-e92cee14f86a","generation":1,"power_state":"running","already":false},"error":null}',1795284584490410);
INSERT INTO "replies" VALUES(12,'3c7eacb9-1b84-48ae-afa5-f02d9325cf61','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"47f812c4-89fa-490b-9762-6227daab2940","instance_uuid":"a1ce61fb-28f3-5450-b9e0-47d4efb13952","generation":1,"power_state":"running","already":false},"error":null}',1795284585031702);
INSERT INTO "replies" VALUES(13,'f8374963-c6d4-4cfd-ae84-3400f467b57f','{"correlation_id":null,"exchange":"","extra":{},"format":"plain","only_failures":false,"reply_to":"answers"}','{"result":{"operation_id":"6283c924-95de-4213-a3b4-4883cfcdd7a4","instance_uuid":"4b49c367-32d0-59db-b7ad-c5db02a4c9bf","generation":1,"power_state":"running","already":false},"error":null}',1795284585257535);
CREATE TABLE steps (
    operation INTEGER NOT NULL REFERENCES operations (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    mark TEXT NOT NULL CHECK (mark IN ('begun', 'done', 'undoing', 'undone', 'stuck')),
    since INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (operation, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "steps" VALUES(1,'check',0,'done',1795284581408231,1795284581412477);
INSERT INTO "steps" VALUES(1,'directory',2,'done',1795284581425129,1795284581427437);
INSERT INTO "steps" VALUES(1,'disks',3,'begun',1795284581428294,1795284581428294);
INSERT INTO "steps" VALUES(1,'images',1,'done',1795284581417946,1795284581418501);
INSERT INTO "steps" VALUES(2,'check',0,'done',1795284581470113,1795284581493701);
INSERT INTO "steps" VALUES(2,'define',5,'begun',1795284581537653,1795284581537653);
INSERT INTO "steps" VALUES(2,'directory',2,'done',1795284581509640,1795284581512485);
INSERT INTO "steps" VALUES(2,'disks',3,'done',1795284581513186,1795284581515331);
INSERT INTO "steps" VALUES(2,'images',1,'done',1795284581507232,1795284581508652);
INSERT INTO "steps" VALUES(2,'volumes',4,'done',1795284581516090,1795284581529336);
INSERT INTO "steps" VALUES(3,'check',0,'done',1795284581577781,1795284581587061);
INSERT INTO "steps" VALUES(3,'define',5,'done',1795284581602837,1795284581604241);
INSERT INTO "steps" VALUES(3,'directory',2,'done',1795284581597065,1795284581597877);
INSERT INTO "steps" VALUES(3,'disks',3,'done',1795284581599339,1795284581601143);
INSERT INTO "steps" VALUES(3,'images',1,'done',1795284581594071,1795284581596611);
INSERT INTO "steps" VALUES(3,'start',6,'begun',1795284581604675,1795284581604675);
INSERT INTO "steps" VALUES(3,'volumes',4,'done',1795284581601571,1795284581602400);
INSERT INTO "steps" VALUES(4,'check',0,'done',1795284581615291,1795284581626742);
INSERT INTO "steps" VALUES(4,'define',5,'done',1795284581694257,1795284581700501);
INSERT INTO "steps" VALUES(4,'directory',2,'done',1795284581656998,1795284581660515);
INSERT INTO "steps" VALUES(4,'disks',3,'done',1795284581667094,1795284581679957);
INSERT INTO "steps" VALUES(4,'images',1,'done',1795284581632678,1795284581643732);
INSERT INTO "steps" VALUES(4,'start',6,'begun',1795284581705735,1795284581705735);
INSERT INTO "steps" VALUES(4,'volumes',4,'done',1795284581685261,1795284581691792);
INSERT INTO "steps" VALUES(5,'check',0,'done',1795284581738862,1795284581750301);
INSERT INTO "steps" VALUES(5,'define',5,'undoing',1795284581876447,1795284581876447);
INSERT INTO "steps" VALUES(5,'directory',2,'done',1795284581770932,1795284581775341);
INSERT INTO "steps" VALUES(5,'disks',3,'done',1795284581778111,1795284581780101);
INSERT INTO "steps" VALUES(5,'images',1,'done',1795284581757456,1795284581764192);
INSERT INTO "steps" VALUES(5,'start',6,'undone',1795284581852986,1795284581860080);
INSERT INTO "steps" VALUES(5,'volumes',4,'done',1795284581796012,1795284581803756);
INSERT INTO "steps" VALUES(6,'check',0,'done',1795284581930943,1795284581936306);
INSERT INTO "steps" VALUES(6,'define',5,'done',1795284582131482,1795284582150141);
INSERT INTO "steps" VALUES(6,'directory',2,'done',1795284582039487,1795284582053065);
INSERT INTO "steps" VALUES(6,'disks',3,'done',1795284582055759,1795284582073415);
INSERT INTO "steps" VALUES(6,'images',1,'done',1795284581982985,1795284582010004);
INSERT INTO "steps" VALUES(6,'start',6,'begun',1795284582173011,1795284582173011);
INSERT INTO "steps" VALUES(6,'volumes',4,'done',1795284582086359,1795284582108295);
INSERT INTO "steps" VALUES(7,'check',0,'done',1795284582350971,1795284582366275);
INSERT INTO "steps" VALUES(7,'define',5,'done',1795284582509470,1795284582525109);
INSERT INTO "steps" VALUES(7,'directory',2,'done',1795284582401357,1795284582411984);
INSERT INTO "steps" VALUES(7,'disks',3,'done',1795284582435326,1795284582466883);
INSERT INTO "steps" VALUES(7,'images',1,'done',1795284582379283,1795284582383305);
INSERT INTO "steps" VALUES(7,'start',6,'done',1795284582551743,1795284582562481);
INSERT INTO "steps" VALUES(7,'volumes',4,'done',1795284582479937,1795284582492146);
INSERT INTO "steps" VALUES(8,'check',0,'done',1795284582639185,1795284582647941);
INSERT INTO "steps" VALUES(8,'define',5,'done',1795284582788272,1795284582801632);
INSERT INTO "steps" VALUES(8,'directory',2,'done',1795284582687728,1795284582716012);
INSERT INTO "steps" VALUES(8,'disks',3,'done',1795284582724798,1795284582739881);
INSERT INTO "steps" VALUES(8,'images',1,'done',1795284582670306,1795284582680072);
INSERT INTO "steps" VALUES(8,'start',6,'done',1795284582829238,1795284582845143);
INSERT INTO "steps" VALUES(8,'volumes',4,'done',1795284582763520,1795284582776573);
INSERT INTO "steps" VALUES(9,'attach',2,'begun',1795284582970461,1795284582970461);
INSERT INTO "steps" VALUES(9,'connect',1,'done',1795284582952848,1795284582961431);
INSERT INTO "steps" VALUES(9,'note',0,'done',1795284582935504,1795284582948184);
INSERT INTO "steps" VALUES(10,'check',0,'done',1795284583016051,1795284583025960);
INSERT INTO "steps" VALUES(10,'define',5,'done',1795284583124775,1795284583132685);
INSERT INTO "steps" VALUES(10,'directory',2,'done',1795284583072756,1795284583075396);
INSERT INTO "steps" VALUES(10,'disks',3,'done',1795284583088700,1795284583113279);
INSERT INTO "steps" VALUES(10,'images',1,'done',1795284583034519,1795284583063464);
INSERT INTO "steps" VALUES(10,'start',6,'done',1795284583133776,1795284583136210);
INSERT INTO "steps" VALUES(10,'volumes',4,'done',1795284583116203,1795284583120858);
INSERT INTO "steps" VALUES(11,'attach',2,'undone',1795284583182837,1795284583190835);
INSERT INTO "steps" VALUES(11,'connect',1,'undoing',1795284583194732,1795284583194732);
INSERT INTO "steps" VALUES(11,'note',0,'done',1795284583162000,1795284583171943);
INSERT INTO "steps" VALUES(12,'check',0,'done',1795284583222007,1795284583226398);
INSERT INTO "steps" VALUES(12,'define',5,'done',1795284583260802,1795284583266903);
INSERT INTO "steps" VALUES(12,'directory',2,'done',1795284583235181,1795284583238246);
INSERT INTO "steps" VALUES(12,'disks',3,'done',1795284583240002,1795284583253014);
INSERT INTO "steps" VALUES(12,'images',1,'done',1795284583231211,1795284583232084);
INSERT INTO "steps" VALUES(12,'start',6,'done',1795284583272028,1795284583277611);
INSERT INTO "steps" VALUES(12,'volumes',4,'done',1795284583256143,1795284583259034);
INSERT INTO "steps" VALUES(13,'attach',2,'undone',1795284583346202,1795284583350589);
INSERT INTO "steps" VALUES(13,'connect',1,'stuck',1795284583354589,1795284583364263);
INSERT INTO "steps" VALUES(13,'note',0,'done',1795284583310299,1795284583320246);
INSERT INTO "steps" VALUES(14,'check',0,'done',1795284583390170,1795284583406213);
INSERT INTO "steps" VALUES(14,'define',5,'done',1795284583454647,1795284583464638);
INSERT INTO "steps" VALUES(14,'directory',2,'done',1795284583421793,1795284583427979);
INSERT INTO "steps" VALUES(14,'disks',3,'done',1795284583428779,1795284583434006);
INSERT INTO "steps" VALUES(14,'images',1,'done',1795284583411046,1795284583416865);
INSERT INTO "steps" VALUES(14,'start',6,'done',1795284583465983,1795284583471123);
INSERT INTO "steps" VALUES(14,'volumes',4,'done',1795284583450682,1795284583453973);
INSERT INTO "steps" VALUES(15,'attach',2,'done',1795284583512129,1795284583524053);
INSERT INTO "steps" VALUES(15,'connect',1,'done',1795284583508936,1795284583510928);
INSERT INTO "steps" VALUES(15,'note',0,'done',1795284583495966,1795284583499703);
INSERT INTO "steps" VALUES(16,'detach',1,'done',1795284583550881,1795284583704330);
INSERT INTO "steps" VALUES(16,'disconnect',2,'begun',1795284583711737,1795284583711737);
INSERT INTO "steps" VALUES(16,'remember',0,'done',1795284583544966,1795284583548912);
INSERT INTO "steps" VALUES(17,'check',0,'done',1795284583751265,1795284583756656);
INSERT INTO "steps" VALUES(17,'define',5,'done',1795284583834364,1795284583850256);
INSERT INTO "steps" VALUES(17,'directory',2,'done',1795284583779682,1795284583784913);
INSERT INTO "steps" VALUES(17,'disks',3,'done',1795284583803258,1795284583819845);
INSERT INTO "steps" VALUES(17,'images',1,'done',1795284583759000,1795284583771240);
INSERT INTO "steps" VALUES(17,'start',6,'done',1795284583862584,1795284583878302);
INSERT INTO "steps" VALUES(17,'volumes',4,'done',1795284583824155,1795284583832275);
INSERT INTO "steps" VALUES(18,'attach',1,'begun',1795284583935339,1795284583935339);
INSERT INTO "steps" VALUES(18,'check',0,'done',1795284583924581,1795284583928040);
INSERT INTO "steps" VALUES(19,'check',0,'done',1795284583961664,1795284583968871);
INSERT INTO "steps" VALUES(19,'define',5,'done',1795284584119612,1795284584148656);
INSERT INTO "steps" VALUES(19,'directory',2,'done',1795284584017642,1795284584028750);
INSERT INTO "steps" VALUES(19,'disks',3,'done',1795284584040006,1795284584097939);
INSERT INTO "steps" VALUES(19,'images',1,'done',1795284583976330,1795284584004177);
INSERT INTO "steps" VALUES(19,'start',6,'done',1795284584164065,1795284584167540);
INSERT INTO "steps" VALUES(19,'volumes',4,'done',1795284584113373,1795284584116724);
INSERT INTO "steps" VALUES(20,'power_off',1,'begun',1795284584258237,1795284584258237);
INSERT INTO "steps" VALUES(20,'remember',0,'done',1795284584237678,1795284584249878);
INSERT INTO "steps" VALUES(21,'check',0,'done',1795284584331287,1795284584345306);
INSERT INTO "steps" VALUES(21,'define',5,'done',1795284584464010,1795284584471387);
INSERT INTO "steps" VALUES(21,'directory',2,'done',1795284584412098,1795284584430314);
INSERT INTO "steps" VALUES(21,'disks',3,'done',1795284584439478,1795284584443938);
INSERT INTO "steps" VALUES(21,'images',1,'done',1795284584369186,1795284584391363);
INSERT INTO "steps" VALUES(21,'start',6,'done',1795284584478364,1795284584480512);
INSERT INTO "steps" VALUES(21,'volumes',4,'done',1795284584452212,1795284584456984);
INSERT INTO "steps" VALUES(22,'disks',4,'begun',1795284584935131,1795284584935131);
INSERT INTO "steps" VALUES(22,'power_off',1,'done',1795284584886894,1795284584904108);
INSERT INTO "steps" VALUES(22,'remember',0,'done',1795284584836831,1795284584867665);
INSERT INTO "steps" VALUES(22,'unplug',2,'done',1795284584916556,1795284584924595);
INSERT INTO "steps" VALUES(22,'volumes',3,'done',1795284584925758,1795284584931782);
INSERT INTO "steps" VALUES(23,'check',0,'done',1795284584958490,1795284584960631);
INSERT INTO "steps" VALUES(23,'define',5,'done',1795284584994904,1795284584998811);
INSERT INTO "steps" VALUES(23,'directory',2,'done',1795284584969793,1795284584976190);
INSERT INTO "steps" VALUES(23,'disks',3,'done',1795284584979443,1795284584987730);
INSERT INTO "steps" VALUES(23,'images',1,'done',1795284584964397,1795284584965353);
INSERT INTO "steps" VALUES(23,'start',6,'done',1795284585002175,1795284585008710);
INSERT INTO "steps" VALUES(23,'volumes',4,'done',1795284584988755,1795284584993409);
INSERT INTO "steps" VALUES(24,'pause',0,'begun',1795284585069786,1795284585069786);
INSERT INTO "steps" VALUES(25,'check',0,'done',1795284585093599,1795284585096915);
INSERT INTO "steps" VALUES(25,'define',5,'done',1795284585190036,1795284585207932);
INSERT INTO "steps" VALUES(25,'directory',2,'done',1795284585115168,1795284585127529);
INSERT INTO "steps" VALUES(25,'disks',3,'done',1795284585136268,1795284585149104);
INSERT INTO "steps" VALUES(25,'images',1,'done',1795284585102214,1795284585111416);
INSERT INTO "steps" VALUES(25,'start',6,'done',1795284585224674,1795284585233408);
INSERT INTO "steps" VALUES(25,'volumes',4,'done',1795284585171769,1795284585184462);
INSERT INTO "steps" VALUES(26,'stop',0,'begun',1795284585330424,1795284585330424);
CREATE TABLE to_start (
    number INTEGER PRIMARY KEY,
    instance TEXT NOT NULL UNIQUE CHECK (length(instance) = 36),
    after INTEGER NOT NULL
) STRICT;
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
PRAGMA user_version = 2;
