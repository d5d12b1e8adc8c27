"""The synchronous and the asynchronous clients, behind one way to call them."""

import asyncio

import azure.identity
import azure.identity.aio
import azure.keyvault.certificates
import azure.keyvault.certificates.aio
import azure.keyvault.keys
import azure.keyvault.keys.aio
import azure.keyvault.keys.crypto
import azure.keyvault.keys.crypto.aio
import azure.keyvault.secrets
import azure.keyvault.secrets.aio
from azure.core.exceptions import ResourceNotFoundError

VAULT_URL = "https://myvault.vault.azure.net"


class SyncClient:
    """A synchronous client; each call runs in a thread."""

    def __init__(self, client):
        self.client = client

    async def call(self, method, *args, **kwargs):
        return await asyncio.to_thread(getattr(self.client, method), *args, **kwargs)

    async def pages(self, method, *args, **kwargs):
        """The items of each page."""
        pages = getattr(self.client, method)(*args, **kwargs).by_page()
        return await asyncio.to_thread(lambda: [list(page) for page in pages])

    async def list(self, method, *args, **kwargs):
        return await asyncio.to_thread(lambda: list(getattr(self.client, method)(*args, **kwargs)))


class AsyncClient:
    """An asynchronous client."""

    def __init__(self, client):
        self.client = client

    async def call(self, method, *args, **kwargs):
        return await getattr(self.client, method)(*args, **kwargs)

    async def pages(self, method, *args, **kwargs):
        pages = getattr(self.client, method)(*args, **kwargs).by_page()
        return [[item async for item in page] async for page in pages]

    async def list(self, method, *args, **kwargs):
        return [item async for item in getattr(self.client, method)(*args, **kwargs)]


class Sync(SyncClient):
    """A vault by its certificate client, and by those of its secrets and keys."""

    def __init__(self):
        self.credential = azure.identity.DefaultAzureCredential()
        super().__init__(azure.keyvault.certificates.CertificateClient(VAULT_URL, self.credential))
        self.secrets = SyncClient(azure.keyvault.secrets.SecretClient(VAULT_URL, self.credential))
        self.keys = SyncClient(azure.keyvault.keys.KeyClient(VAULT_URL, self.credential))

    def cryptography(self, key):
        return SyncClient(azure.keyvault.keys.crypto.CryptographyClient(key, self.credential))

    async def begin_create(self, name, policy, **kwargs):
        """Starts an operation and returns what waits for its end."""
        poller = await self.call("begin_create_certificate", name, policy, **kwargs)
        return asyncio.to_thread(poller.result)

    async def delete(self, name):
        poller = await self.call("begin_delete_certificate", name)
        await asyncio.to_thread(poller.wait)
        return poller.result()

    async def recover(self, name):
        poller = await self.call("begin_recover_deleted_certificate", name)
        await asyncio.to_thread(poller.wait)
        return poller.result()

    async def close(self):
        for client in self.client, self.secrets.client, self.keys.client, self.credential:
            client.close()


class Async(AsyncClient):
    """The same vault by the asynchronous clients."""

    def __init__(self):
        self.credential = azure.identity.aio.DefaultAzureCredential()
        super().__init__(azure.keyvault.certificates.aio.CertificateClient(VAULT_URL, self.credential))
        self.secrets = AsyncClient(azure.keyvault.secrets.aio.SecretClient(VAULT_URL, self.credential))
        self.keys = AsyncClient(azure.keyvault.keys.aio.KeyClient(VAULT_URL, self.credential))

    def cryptography(self, key):
        return AsyncClient(azure.keyvault.keys.crypto.aio.CryptographyClient(key, self.credential))

    async def begin_create(self, name, policy, **kwargs):
        before = await self.request_id(name)
        creation = asyncio.create_task(self.client.create_certificate(name, policy, **kwargs))
        while not creation.done() and await self.request_id(name) == before:
            await asyncio.sleep(0.05)
        if creation.done():
            creation.result()  # raises what went wrong
        return creation

    async def request_id(self, name):
        try:
            return (await self.client.get_certificate_operation(name)).request_id
        except ResourceNotFoundError:
            return None

    async def delete(self, name):
        return await self.client.delete_certificate(name)

    async def recover(self, name):
        return await self.client.recover_deleted_certificate(name)

    async def close(self):
        for client in self.client, self.secrets.client, self.keys.client, self.credential:
            await client.close()
