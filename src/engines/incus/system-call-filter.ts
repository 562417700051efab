/**
 * What programs in an instance may not ask of the kernel. The daemon's own list is given here again, for a list of ours takes its place;
 * to it come the calls by which anybody could make, change and remove subvolumes of a share: a room that no quota counts, a snapshot that may be
 * written.
 */

/** The daemon's list for unprivileged instances (LXD 5.0, Incus 6): `seccomp.go` of both. */
const daemonsOwn = [
  'reject_force_umount',
  '[all]',
  'kexec_load errno 38',
  'open_by_handle_at errno 38',
  'init_module errno 38',
  'finit_module errno 38',
  'delete_module errno 38',
];

/** Requests of btrfs to `ioctl`, as `linux/btrfs.h` numbers them: the same on all architectures that we run on. */
const subvolumeRequests = {
  snapCreate: 0x50009401,
  subvolCreate: 0x5000940e,
  snapDestroy: 0x5000940f,
  snapCreateV2: 0x50009417,
  subvolCreateV2: 0x50009418,
  subvolSetFlags: 0x4008941a,
  snapDestroyV2: 0x5000943f,
};

/** A policy in the words of liblxc, version 2. */
export function systemCallFilter(): string {
  // Only the lower half of the number counts for the kernel, so only that is compared.
  const refused = Object.values(subvolumeRequests).map(
    (request) => `ioctl errno 1 [1,${String(request)},SCMP_CMP_MASKED_EQ,4294967295]`,
  );
  return `${['2', 'denylist', '[all]', ...daemonsOwn, ...refused].join('\n')}\n`;
}
