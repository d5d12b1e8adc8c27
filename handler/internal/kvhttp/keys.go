package kvhttp

import "context"

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
	return ok(c.signature(k, signature)), nil
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
