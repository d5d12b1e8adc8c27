package settings

import (
	"fmt"
	"strconv"
	"strings"
)

// A reader reads app settings and collects what is wrong with them.
type reader struct {
	getenv func(string) string
	errs   []error
}

func (r *reader) wrong(err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *reader) text(name, otherwise string) string {
	if v := strings.TrimSpace(r.getenv(name)); v != "" {
		return v
	}
	return otherwise
}

func (r *reader) list(name string) []string {
	var list []string
	for item := range strings.SplitSeq(r.getenv(name), ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

func (r *reader) number(name string, otherwise int) int {
	v := r.text(name, "")
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		r.wrong(fmt.Errorf("%s must be a number", name))
	}
	return n
}

func (r *reader) flag(name string) bool {
	v := r.text(name, "false")
	b, err := strconv.ParseBool(v)
	if err != nil {
		r.wrong(fmt.Errorf("%s must be true or false", name))
	}
	return b
}
