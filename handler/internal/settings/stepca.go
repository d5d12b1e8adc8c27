package settings

import (
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/stepca"
)

// stepCAConfig is a step-ca with a JWK provisioner. (One with an ACME provisioner
// is an acmeConfig.)
type stepCAConfig struct {
	URL              string `json:"url"`
	Roots            string `json:"roots"`
	MaxValidityHours int    `json:"maxValidityHours"` // what the provisioner allows; 0: ask for what policies want
}

func (c *stepCAConfig) open(Backend) (provider.Provider, error) {
	roots, err := readRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	return stepca.New(stepca.Config{URL: c.URL, Roots: roots, MaxValidity: time.Duration(c.MaxValidityHours) * time.Hour})
}
