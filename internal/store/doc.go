// Package store keeps EROFS images, one per layer whatever the images and chains that contain it, and the records
// of the snapshots that refer to them: through crashes, and for several processes at once.
//
// # Schema
//
// Layout draws the directories. metadata.db is a bbolt file with two buckets, changed in the same transactions:
//
//	v1                    snapshots, as containerd's core/snapshots/storage keeps them
//	lamina
//	  blobs               key of a blob -> record; its sequence numbers the blobs
//	  links               id of a snapshot -> key of the blob that it refers to
//	  refs                key of a blob, id of a snapshot -> nothing: links by their blob
//	  chains              chainID -> key of the blob of its top layer
//
// record.go has the bytes of keys and records. A blob without links is Collect's; so is what has no record: garbage is
// found by set difference, never by counting.
//
// # Life of a blob
//
//	Stage     a directory in staging, locked while its process lives
//	Publish   fsync of the files; a hard link at the place that the key names; fsync of that directory and of each one
//	          made on the way; the transaction; then the name in staging goes
//	Collect   the record goes, in a transaction; the files go to staging, in another; then they are removed
//
// The files are linked to their place, not renamed: if a Collect takes them away before the transaction, since they
// have no record, Publish notices it in the transaction and links them once more.
//
// # Processes
//
// The byte ranges of the file lock (lock.go) order the processes. metadata.db is open in one process at a time, for a
// burst of transactions of 20 ms at most plus the longest of them, and who has had it comes after who waits. A process
// that opens the store while nobody else has it open recovers it: it is the first after a crash, or after a
// restart of the machine. The locks go with their process, however it ends.
//
// # Crash table
//
// What lies on disk if the process or the machine dies in a step, and what becomes of it. "start" is the next Open
// that finds no other user; "Collect" is the next one, of any process. Each row has its test in crash_test.go; that
// the rows are all, and hold for every order in which a disk fails, tests TestEveryOperationMayFail; that they
// hold for processes, TestKilledProcessLosesNothingThatWasPublished; for file systems that lose what was not
// synced, TestPowerCutLosesNothingThatWasPublished.
//
//	step                                  on disk                      then                                    test
//	Publish
//	P1 make and fill the staging dir      part of the files            start empties staging; Collect does     TestCrashTable
//	                                                                   so for dead processes
//	P2 fsync of the files                 the files, in staging        the same                                TestCrashTable
//	P3 make blobs/..., fsync of each      and empty directories        the same; the directories stay          TestCrashTable
//	P4 link device, image                 and one or both names        Collect removes them; a Publish of      TestCrashTable
//	                                                                   the key takes them if they are whole
//	P5 fsync of the directory             both names                   the same                                TestCrashTable
//	P6 transaction                        both names, no record        the same                                TestCrashTable
//	P7 remove the staging dir             all, and names in staging    the blob is there; start, Collect       TestCrashTable
//	                                                                   remove the names
//	Collect
//	C1 transaction: no record             the blob                     nothing was done                        TestCrashTable
//	C2 move the files to staging          files without record         Collect moves them                      TestCrashTable
//	C3 remove them                        files in staging             start, Collect remove them              TestCrashTable
//	Snapshots
//	S1 make the directory, transaction    a directory, no record       Collect removes it; the id is given     TestDirectoriesOfSnapshotsMayStay,
//	                                                                   again, so it may be in the way          TestDirectoryOfAFailedTransactionIsReplaced
//	S2 transaction: no record, drop       a directory, no record       start, Collect remove it                TestDirectoriesOfSnapshotsMayStay
//	Recovery
//	R1 move a damaged file away           no file, record as before    start finds it missing, as any          TestRecoveryMayDieToo
//	R2 transaction: mark the record       the same                     the same                                TestRecoveryMayDieToo
//	Making a store
//	D1 make the directories               some of them                 start makes the others                  TestMakingAStoreMayDie
//	D2 make metadata.db in staging,       part of it, in staging       start makes it again                    TestMakingAStoreMayDie
//	   rename, fsync of the root
//	Mounting
//	M1 make m/<n>, mount                  m/<n>; mounts of dead        MountBlob finds it; Collect unmounts    TestBlobIsMountedOnceForEverybody,
//	                                      processes stay               what nobody needs; start unmounts       TestCollectUnmountsWhatNoActiveSnapshotNeeds,
//	                                                                   what is not the blob of that number     TestMountsOfAnotherStoreAtThisPlaceGo
//
// # What blocks
//
// Update waits for all other writers, of all processes; View for the burst of another process. Both end with their
// context, or after a minute with an ErrUnavailable: a process that was stopped in a transaction holds up all others.
// fsync takes as long as the disk does, in no transaction but for the two of bbolt's commit. MountBlob waits
// for whoever mounts the same blob.
package store
