// The whole of Key Vault's certificates API with the official JavaScript clients.
//
//   node conformance.js PREFIX PART...
//
// Names begin with PREFIX; the parts run at the same time. CERTWRIGHT_E2E_CA is the
// URL of a CA: it takes a CSR in DER and answers a chain in PEM.
// CERTWRIGHT_E2E_MATERIAL is a folder with certificates and keys that were made
// elsewhere.
//
// A line for each operation, with tabs between: its name; passed, failed or not
// offered; why. And one for each package: version, its name, its version.
//
// Nothing else in here knows of Certwright.

import { backups } from "./backups.js";
import { changes, contacts } from "./changes.js";
import { creation } from "./creation.js";
import { imports } from "./imports.js";
import { lifecycle } from "./lifecycle.js";
import { lists } from "./lists.js";
import { readside } from "./readside.js";
import { version } from "./report.js";

const known = { lifecycle, creation, imports, changes, contacts, lists, backups, readside };
const [prefix, ...parts] = process.argv.slice(2);

for (const name of ["certificates", "secrets", "keys"]) version(`@azure/keyvault-${name}`);
await Promise.all(parts.map((part) => known[part](prefix)));
