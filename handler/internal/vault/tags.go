package vault

// checkTags bounds tags as Key Vault does: 15 of at most 256 characters each.
func checkTags(tags map[string]string) error {
	if len(tags) > 15 {
		return badParameter("tags", "%d entries: must be at most 15", len(tags))
	}
	for k, val := range tags {
		if k == "" || len([]rune(k)) > 256 || len([]rune(val)) > 256 {
			return badParameter("tags", "%q: must be a name of 1 to 256 characters with a value of at most 256", truncate(k, 64))
		}
	}
	return nil
}
