/** Users and groups as a GET shows them. Types, not interfaces: so they are JSON to the compiler too. */

export type UserDocument = {
  id: string;
  name: string;
  type: string;
  etag: string;
  properties: {
    provisioningState: 'Succeeded';
    uid: number;
    gid: number;
    groups: string[];
    /** `*` alone is every pool; otherwise `resourcegroup/scaleset`, in lower case. */
    pools: string[];
    sshKeys: string[];
    /** `SHA256:…`, in the order of the keys. */
    sshKeyFingerprints: string[];
    hasPassword: boolean;
    disabled: boolean;
    sudo: boolean;
    /** Bytes, `none`, or null: what the storage account of a share says of everybody. */
    quota: number | 'none' | null;
    /** ISO 8601. */
    createdAt: string;
  };
};

export type GroupDocument = {
  id: string;
  name: string;
  type: string;
  etag: string;
  properties: {
    provisioningState: 'Succeeded';
    gid: number;
    members: string[];
    /** What its members may enter beside their own; `*` alone is every pool. */
    pools: string[];
    /** Bytes of its folder on each share; null where there is no limit. */
    quota: number | 'none' | null;
    createdAt: string;
  };
};
