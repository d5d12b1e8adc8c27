package vault

import "github.com/certwright/certwright/handler/internal/field"

// checkTags bounds tags as Key Vault does: 15 of at most 256 characters each.
func checkTags(tags map[string]string) error {
	if len(tags) > 15 {
		return field.Errorf("tags", "%d entries: must be at most 15", len(tags))
	}
	for k, val := range tags {
		if k == "" || len([]rune(k)) > 256 || len([]rune(val)) > 256 {
			return field.Errorf("tags", "%q: must be a name of 1 to 256 characters with a value of at most 256", k)
		}
	}
	return nil
}
