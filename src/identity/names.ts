/** What people and groups may be called. Pure. */
import { PoolhouseError } from '../core/errors.ts';

/**
 * Names that the images have already, or that packages of theirs are likely to bring: an account of the image shadows
 * one of the same name that control renders.
 */
const reserved = new Set(
  // base-passwd of Debian: users and groups
  (
    'root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody _apt ' +
    'adm tty disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev ' +
    'staff users nogroup ' +
    // systemd, udev, and what the recipes install
    'input sgx kvm render messagebus polkitd sshd _ssh ssh crontab netdev ssl-cert uuidd tcpdump jupyterhub ' +
    // what people install
    'wheel admin docker lxd incus libvirt libvirt-qemu nginx postgres mysql redis postfix postdrop _chrony ntp syslog ' +
    'rtkit avahi colord geoclue gdm lightdm sddm xrdp fuse halt shutdown dnsmasq haproxy'
  ).split(' '),
);

/**
 * Throws unless the text can be the name of a user or a group.
 *
 * @param what `user` or `group`, for the message
 */
export function checkAccountName(name: string, what: 'user' | 'group'): void {
  const shown = name.slice(0, 80).replace(/\p{Cc}/gu, '�');
  const refuse = (why: string) => new PoolhouseError('InvalidResourceName', why, { target: 'name' });
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(name))
    throw refuse(
      `'${shown}' is no name for a ${what}: 1 to 32 of a-z, 0-9, '_' and '-', beginning with a letter or '_', all in lower case.`,
    );
  if (name.startsWith('poolhouse'))
    throw refuse(`'${shown}' is no name for a ${what}: names that begin with 'poolhouse' are Poolhouse's own.`);
  if (reserved.has(name) || name.startsWith('systemd-'))
    throw refuse(`'${shown}' is no name for a ${what}: the system of the instances uses it itself. Choose another.`);
}
