BEGIN TRANSACTION;
CREATE TABLE account_doorbells (
	account_id TEXT NOT NULL, 
	device TEXT NOT NULL, 
	UNIQUE (account_id, device), 
	FOREIGN KEY(account_id) REFERENCES accounts (id), 
	FOREIGN KEY(device) REFERENCES doorbells (device)
);
CREATE TABLE accounts (
	id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	agency TEXT, 
	name TEXT NOT NULL, 
	created_ms BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE agencies (
	id TEXT NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE ceremonies (
	id TEXT NOT NULL, 
	challenge BLOB NOT NULL, 
	purpose TEXT NOT NULL, 
	data TEXT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE claims (
	secret_hash TEXT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	used_ms BIGINT, 
	device TEXT, 
	PRIMARY KEY (secret_hash)
);
CREATE TABLE commands (
	id TEXT NOT NULL, 
	device TEXT NOT NULL, 
	created_ms BIGINT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	answered_ms BIGINT, 
	reply TEXT, 
	PRIMARY KEY (id)
);
CREATE TABLE credentials (
	credential_id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	public_key TEXT NOT NULL, 
	rp_id TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	aaguid TEXT NOT NULL, 
	sign_count BIGINT NOT NULL, 
	is_demo BOOLEAN NOT NULL, 
	PRIMARY KEY (credential_id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE doorbells (
	device TEXT NOT NULL, 
	name TEXT NOT NULL, 
	identity_key TEXT NOT NULL, 
	sealing_key TEXT NOT NULL, 
	certificate_pem TEXT NOT NULL, 
	enrolled_ms BIGINT NOT NULL, 
	revoked_ms BIGINT, 
	state TEXT NOT NULL, 
	state_since_ms BIGINT NOT NULL, 
	last_seq BIGINT NOT NULL, 
	PRIMARY KEY (device)
);
INSERT INTO "doorbells" VALUES('abcdefghijklmnopqrst','Front door','aWRlbnRpdHk','c2VhbGluZw','-',1790000000000,NULL,'online',1790000000000,3);
CREATE TABLE downloads (
	id TEXT NOT NULL, 
	package_id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(package_id) REFERENCES packages (package_id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE events (
	relay_seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	event_id TEXT NOT NULL, 
	device TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	time_ms BIGINT NOT NULL, 
	received_ms BIGINT NOT NULL, 
	credential_id TEXT, 
	payload TEXT NOT NULL, 
	UNIQUE (event_id)
);
INSERT INTO "events" VALUES(1,'ohri4ek5w5f2lykjapof3qg2yc','abcdefghijklmnopqrst',1,'pressed',1000000,1790000003000,NULL,'{"body":{"type":"pressed"},"device":"abcdefghijklmnopqrst","id":"ohri4ek5w5f2lykjapof3qg2yc","is_clock_trusted":false,"seq":1,"time_ms":1000000,"v":1}');
INSERT INTO "events" VALUES(2,'oua32hqrwolup5xlpkiw5r6kwq','abcdefghijklmnopqrst',2,'pressed',1790000001000,1790000003000,NULL,'{"body":{"type":"pressed"},"device":"abcdefghijklmnopqrst","id":"oua32hqrwolup5xlpkiw5r6kwq","is_clock_trusted":true,"seq":2,"time_ms":1790000001000,"v":1}');
INSERT INTO "events" VALUES(3,'xwrtqxlziptqlxbqiabulqyzs3','abcdefghijklmnopqrst',3,'note',1790000002000,1790000003000,'Y3JlZA','{"body":{"credential_id":"Y3JlZA","sealed":"c2VhbGVk","type":"note"},"device":"abcdefghijklmnopqrst","id":"xwrtqxlziptqlxbqiabulqyzs3","is_clock_trusted":true,"seq":3,"time_ms":1790000002000,"v":1}');
CREATE TABLE invitations (
	secret_hash TEXT NOT NULL, 
	role TEXT NOT NULL, 
	agency TEXT, 
	device TEXT, 
	expires_ms BIGINT NOT NULL, 
	used_ms BIGINT, 
	PRIMARY KEY (secret_hash)
);
INSERT INTO "invitations" VALUES('57b1057bc98603b6d03591f96726b610b80b20bd9a5f7dfe70d9ed7c129c9b93','owner',NULL,NULL,1790604800000,NULL);
CREATE TABLE joins (
	pairing_id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	device TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	created_ms BIGINT NOT NULL, 
	done_ms BIGINT, 
	PRIMARY KEY (pairing_id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE officer_certificates (
	officer_id TEXT NOT NULL, 
	agency TEXT NOT NULL, 
	signed TEXT NOT NULL, 
	PRIMARY KEY (officer_id), 
	FOREIGN KEY(officer_id) REFERENCES accounts (id), 
	FOREIGN KEY(agency) REFERENCES agencies (id)
);
CREATE TABLE packages (
	package_id TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	device TEXT NOT NULL, 
	agency TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	part_bytes BIGINT NOT NULL, 
	parts TEXT NOT NULL, 
	upload_id TEXT, 
	object_key TEXT, 
	state TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (package_id), 
	FOREIGN KEY(request_id) REFERENCES requests (id), 
	FOREIGN KEY(device) REFERENCES doorbells (device), 
	FOREIGN KEY(agency) REFERENCES agencies (id)
);
CREATE TABLE pairings (
	pairing_id TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	device TEXT, 
	state TEXT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	PRIMARY KEY (pairing_id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE requests (
	id TEXT NOT NULL, 
	agency TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	signed TEXT NOT NULL, 
	published_ms BIGINT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(agency) REFERENCES agencies (id), 
	FOREIGN KEY(account_id) REFERENCES accounts (id), 
	UNIQUE (digest)
);
CREATE TABLE schema_version (
	version INTEGER NOT NULL
);
INSERT INTO "schema_version" VALUES(1);
CREATE TABLE sessions (
	token_hash TEXT NOT NULL, 
	account_id TEXT NOT NULL, 
	created_ms BIGINT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	csrf TEXT NOT NULL, 
	PRIMARY KEY (token_hash), 
	FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX events_by_device ON events (device, relay_seq);
CREATE INDEX commands_unanswered ON commands (answered_ms, expires_ms);
CREATE INDEX ix_credentials_account_id ON credentials (account_id);
CREATE INDEX ix_sessions_account_id ON sessions (account_id);
CREATE INDEX ix_account_doorbells_device ON account_doorbells (device);
CREATE INDEX ix_requests_agency ON requests (agency);
CREATE INDEX ix_packages_request_id ON packages (request_id);
CREATE INDEX ix_packages_device ON packages (device);
CREATE INDEX ix_packages_agency ON packages (agency);
CREATE INDEX ix_downloads_package_id ON downloads (package_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',3);
COMMIT;
