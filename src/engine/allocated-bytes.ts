// What files take on the disk.

/** File systems give out space in blocks; a small file takes a whole one. */
const blockBytes = 4096;

/** What a file of that length takes on disk, in bytes; its inode counts as a block when there is no content. */
export function allocatedBytes(contentBytes: number): number {
  return Math.max(1, Math.ceil(contentBytes / blockBytes)) * blockBytes;
}
