package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clewtrace/clew/context/traceparent"
	"github.com/clewtrace/clew/export"
)

// variable is one environment variable that the agent reads. An empty value
// counts as unset, as OpenTelemetry has it.
type variable struct {
	name    string
	initial string // what an unset variable means, for people
	meaning string
	// set puts the value into the configuration; nil where several variables
	// are read together (see loadConfig).
	set func(c *config, value string) error
}

// problems is everything that is wrong with the configuration, one line each
// that begins with the variable's name, so that nobody has to mend and retry
// variable by variable.
type problems []string

// Error lists the problems, one a line.
func (p problems) Error() string {
	return "configuration:\n  " + strings.Join(p, "\n  ")
}

// Unwrap returns the problems one by one.
func (p problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, text := range p {
		errs[i] = errors.New(text)
	}
	return errs
}

// add takes what err says, each part of a joined error for itself, with prefix
// before it.
func (p *problems) add(prefix string, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, part := range joined.Unwrap() {
			p.add(prefix, part)
		}
		return
	}
	*p = append(*p, prefix+err.Error())
}

// loadConfig reads the configuration from an environment in the form of
// os.Environ, and from the flag -o. The error, if any, is of type problems and
// names them all.
func loadConfig(environ []string, form string) (config, error) {
	c := defaults()
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = strings.TrimSpace(value)
	}
	getenv := func(name string) string { return values[name] }

	var wrong problems
	for _, v := range variables() {
		if value := values[v.name]; value != "" && v.set != nil {
			wrong.add(v.name+": ", v.set(&c, value))
		}
	}
	wrong = append(wrong, unknown(values)...)
	var err error
	c.sampler, err = traceparent.ParseSampler(getenv("OTEL_TRACES_SAMPLER"), getenv("OTEL_TRACES_SAMPLER_ARG"))
	wrong.add("", err)
	wrong.add("", setExporter(&c, getenv))
	wrong.add("", settlePropagation(&c))
	wrong.add("-o: ", setForm(&c, form))
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return config{}, wrong
	}
	return c, nil
}

// setExporter decides where traces go, from several variables.
func setExporter(c *config, getenv func(string) string) error {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		if value := getenv(name); value != "" {
			c.endpoint = value
			if getenv("OTEL_TRACES_EXPORTER") == "" {
				c.exporter = exporterOTLP
			}
		}
	}
	var err error
	c.batching, err = export.BatchingFromEnv(getenv)
	if c.exporter == exporterOTLP {
		err = errors.Join(err, export.CheckOTLPEnv(getenv))
	}
	return err
}

// setForm decides how the console looks.
func setForm(c *config, form string) error {
	if form == "" {
		return nil
	}
	if err := oneOf(&form, form, "tree", "json"); err != nil {
		return err
	}
	if c.exporter != exporterConsole {
		return fmt.Errorf("is for the console, and OTEL_TRACES_EXPORTER is %s", c.exporter)
	}
	c.json = form == "json"
	return nil
}

// unknown finds the CLEW_ variables that mean nothing. Other prefixes are not
// looked at: the environment of a pod is full of other programs' OTEL_
// variables.
func unknown(values map[string]string) problems {
	var known []string
	for _, v := range variables() {
		known = append(known, v.name)
	}
	var wrong problems
	for name := range values {
		if !strings.HasPrefix(name, "CLEW_") || slices.Contains(known, name) {
			continue
		}
		if reason, ok := planned[name]; ok {
			wrong = append(wrong, name+": not supported by this version: "+reason)
			continue
		}
		reason := "unknown variable"
		if near := nearest(name, known); near != "" {
			reason += "; did you mean " + near + "?"
		}
		wrong = append(wrong, name+": "+reason)
	}
	return wrong
}

// planned holds names that are reserved and not built, so that setting one is
// answered better than as a typing error.
var planned = map[string]string{
	"CLEW_CPU_BUDGET": "the agent does not limit its own processor time yet; use the limits of the container or of systemd",
}

// nearest returns the known name that a mistyped one most likely stands for,
// or "" when none is near.
func nearest(name string, known []string) string {
	best, distance := "", len(name)/4+1
	for _, candidate := range known {
		if d := edits(name, candidate); d <= distance && strings.HasPrefix(candidate, "CLEW_") {
			if d < distance || best == "" {
				best, distance = candidate, d
			}
		}
	}
	return best
}

// edits is the Levenshtein distance of two short ASCII strings.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
