//! What the store counts: plain numbers that an edge turns into metrics.

/// Counters since start and gauges of now, of one shard or summed over all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Blobs stored now.
    pub blobs: u64,
    /// Unfinished uploads now.
    pub uploads: u64,
    /// Chunks of stored blobs now.
    pub chunks: u64,
    /// Bytes of stored blobs now.
    pub blob_bytes: u64,
    /// Memory of the index in bytes.
    pub index_bytes: u64,
    /// Segment files now.
    pub segments: u64,
    /// Bytes of segment files now, with preallocated and recycled ones.
    pub segment_bytes: u64,
    /// Bytes of records that are live in segments.
    pub live_bytes: u64,
    /// Records acknowledged.
    pub records: u64,
    /// Payload bytes acknowledged.
    pub record_bytes: u64,
    /// Frames committed (one sync each).
    pub frames: u64,
    /// Bytes written to the disk.
    pub written_bytes: u64,
    /// Chunk reads served.
    pub reads: u64,
    /// Bytes served.
    pub read_bytes: u64,
    /// Damaged records found by reads and scrubs.
    pub corrupt: u64,
    /// Writes or syncs that failed.
    pub write_failures: u64,
    /// Puts refused because the disk is full.
    pub full_refusals: u64,
    /// Bytes scrubbed.
    pub scrubbed_bytes: u64,
    /// Complete scrub passes.
    pub scrub_passes: u64,
    /// Segments freed by compaction or expiry.
    pub segments_freed: u64,
    /// Bytes copied by compaction.
    pub moved_bytes: u64,
    /// Bytes dropped at the last start as the torn, never acknowledged end of the log.
    pub torn_bytes: u64,
    /// Microseconds the last start took.
    pub replay_micros: u64,
    /// Bytes free on the filesystem.
    pub disk_free: u64,
    /// Bytes of the filesystem.
    pub disk_total: u64,
    /// 1 while new blobs are refused for lack of space.
    pub read_only: u64,
    /// Epoch that the store was told last.
    pub epoch: u64,
}

impl Stats {
    /// Adds another shard's numbers; the slowest start and the latest epoch count.
    pub(crate) fn add(&mut self, other: &Stats) {
        self.blobs += other.blobs;
        self.uploads += other.uploads;
        self.chunks += other.chunks;
        self.blob_bytes += other.blob_bytes;
        self.index_bytes += other.index_bytes;
        self.segments += other.segments;
        self.segment_bytes += other.segment_bytes;
        self.live_bytes += other.live_bytes;
        self.records += other.records;
        self.record_bytes += other.record_bytes;
        self.frames += other.frames;
        self.written_bytes += other.written_bytes;
        self.reads += other.reads;
        self.read_bytes += other.read_bytes;
        self.corrupt += other.corrupt;
        self.write_failures += other.write_failures;
        self.full_refusals += other.full_refusals;
        self.scrubbed_bytes += other.scrubbed_bytes;
        self.scrub_passes += other.scrub_passes;
        self.segments_freed += other.segments_freed;
        self.moved_bytes += other.moved_bytes;
        self.torn_bytes += other.torn_bytes;
        self.replay_micros = self.replay_micros.max(other.replay_micros);
        self.epoch = self.epoch.max(other.epoch);
    }
}
