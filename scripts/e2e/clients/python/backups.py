"""Backups of certificates."""

from ca import material
from report import expect, operation, refused


async def backups(vault, prefix):
    name = f"{prefix}-kept"

    def restore(backup):
        return vault.call("restore_certificate_backup", backup)

    with operation("back up and restore"):
        await vault.call("import_certificate", name, material("rsa.pfx"), tags={"colour": "blue"})
        await vault.call("import_certificate", name, material("rsa.pfx"))
        before = await vault.call("get_certificate", name)
        backup = await vault.call("backup_certificate", name)
        await vault.delete(name)
        await vault.call("purge_deleted_certificate", name)
        restored = await restore(backup)
        expect("id", restored.id, before.id)
        expect("certificate", restored.cer, before.cer)
        times = before.properties.created_on, before.properties.updated_on
        expect("times", (restored.properties.created_on, restored.properties.updated_on), times)
        expect("certificate", (await vault.call("get_certificate", name)).cer, before.cer)
        versions = await vault.list("list_properties_of_certificate_versions", name)
        expect("versions", len(versions), 2)
        expect("tags", {"colour": "blue"} in [v.tags for v in versions], True)

    with operation("restore over a certificate is refused"):
        await refused(409, "Conflict", restore(backup), saying="There was a conflict restoring the certificate")
        await vault.delete(name)
        await refused(409, "Conflict", restore(backup))

    with operation("restore of anything else is refused"):
        await refused(400, "Malformed backup blob", restore(b"no backup"), saying="Backup blob is corrupt.")
        zeros = restore(bytes(4728))
        await refused(400, "Malformed backup blob", zeros, saying="Backup blob contains invalid or corrupt version.")
