package kvhttp

import (
	"context"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

func listKeys(ctx context.Context, c *call) (reply, error) {
	return listBacking(ctx, c, "keys", c.keyItem)
}

func listKeyVersions(ctx context.Context, c *call) (reply, error) {
	return listBackingVersions(ctx, c, backingKey, c.keyVersionItem)
}

func getKey(ctx context.Context, c *call) (reply, error) {
	version, err := c.parseVersion(backingKey.notFound)
	if err != nil {
		return reply{}, err
	}
	k, err := c.vault.Key(ctx, c.name, version)
	if err != nil {
		return reply{}, err
	}
	return ok(c.key(k)), nil
}

func getDeletedKey(ctx context.Context, c *call) (reply, error) {
	k, err := c.vault.DeletedKey(ctx, c.name)
	if err != nil {
		return reply{}, backingKey.deletedError(c, err)
	}
	return ok(deletedKey{c.deletionOf("deletedkeys", k.Certificate), c.key(k)}), nil
}

// encrypt is the route of an operation of the public key.
func encrypt(operation policy.KeyOperation) func(context.Context, *call) (reply, error) {
	return func(ctx context.Context, c *call) (reply, error) {
		return c.useKey(func(version, algorithm string, value []byte) (vault.Key, []byte, error) {
			return c.vault.Encrypt(ctx, c.name, version, operation, algorithm, value)
		})
	}
}

// decrypt is the route of an operation of the private key.
func decrypt(operation policy.KeyOperation) func(context.Context, *call) (reply, error) {
	return func(ctx context.Context, c *call) (reply, error) {
		return c.useKey(func(version, algorithm string, value []byte) (vault.Key, []byte, error) {
			return c.vault.Decrypt(ctx, c.name, version, operation, algorithm, value)
		})
	}
}

// useKey has a key make something of a value.
func (c *call) useKey(use func(version, algorithm string, value []byte) (vault.Key, []byte, error)) (reply, error) {
	version, err := c.parseVersion(backingKey.notFound)
	if err != nil {
		return reply{}, err
	}
	var in keyOperationParams
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	value, err := in.value()
	if err != nil {
		return reply{}, err
	}
	k, made, err := use(version, in.Algorithm, value)
	if err != nil {
		return reply{}, err
	}
	return ok(c.keyResult(k, made)), nil
}

func sign(ctx context.Context, c *call) (reply, error) {
	version, err := c.parseVersion(backingKey.notFound)
	if err != nil {
		return reply{}, err
	}
	var in signParams
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	digest, err := in.digest()
	if err != nil {
		return reply{}, err
	}
	k, signature, err := c.vault.Sign(ctx, c.name, version, in.Algorithm, digest)
	if err != nil {
		return reply{}, err
	}
	return ok(c.keyResult(k, signature)), nil
}

func verify(ctx context.Context, c *call) (reply, error) {
	version, err := c.parseVersion(backingKey.notFound)
	if err != nil {
		return reply{}, err
	}
	var in verifyParams
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	digest, signature, err := in.params()
	if err != nil {
		return reply{}, err
	}
	valid, err := c.vault.Verify(ctx, c.name, version, in.Algorithm, digest, signature)
	if err != nil {
		return reply{}, err
	}
	return ok(keyVerifyResult{valid}), nil
}
