package cli

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/doctor"
)

// doctorJob is what doctor was asked for.
type doctorJob struct {
	config  configFlag
	version string
	binary  string
	snippet bool
	asJSON  bool
	address string
}

const doctorLong = `Try what this kernel and the file system of the store can do, ask containerd for its version and whether it knows the
daemon, and print what to merge into its configuration. Nothing that stays is changed. Needs root to try
mounts. Exit code 4 if containers cannot run.`

func newDoctor(e *env) *cobra.Command {
	j := &doctorJob{}
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "What kernel, file system and containerd can do, and how to configure containerd",
		Long:  doctorLong,
		Example: `  lamina doctor
  lamina doctor --snippet --containerd-version 1.7.29`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return e.doctor(j) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	j.config.register(cmd)
	fs.StringVar(&j.address, "address", "", "socket of containerd (default: that of the configuration)")
	fs.StringVar(&j.binary, "containerd", "", "program to ask for its version if the socket does not answer (default: containerd)")
	fs.StringVar(&j.version, "containerd-version", "", "print what this version of containerd needs")
	fs.BoolVar(&j.snippet, "snippet", false, "print nothing but the configuration for containerd")
	fs.BoolVar(&j.asJSON, "json", false, "print JSON")
	return cmd
}

func (e *env) doctor(j *doctorJob) error {
	c, err := j.config.load()
	if err != nil {
		return err
	}
	o := doctor.Options{Root: c.StoreRoot(), Socket: c.Socket, Containerd: c.Containerd.Address, Binary: j.binary, Version: j.version}
	if j.address != "" {
		o.Containerd = j.address
	}
	if j.snippet && j.version != "" {
		v, ok := doctor.ParseVersion(j.version)
		if !ok {
			return usagef("--containerd-version: %q: no version", j.version)
		}
		if !v.Supported() {
			return usagef("--containerd-version: %s: it takes %s or newer", v, doctor.Oldest)
		}
		_, err := fmt.Fprint(e.stdout, doctor.Snippet(v, doctor.Wiring{Socket: o.Socket, Root: o.Root}))
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root, to try mounts: %w", os.ErrPermission)
	}
	return e.printExamination(doctor.Examine(e.ctx, o), j)
}

func (e *env) printExamination(r doctor.Report, j *doctorJob) error {
	switch {
	case j.asJSON:
		if err := e.json(r); err != nil {
			return err
		}
	case j.snippet && r.Snippet == "":
		return fmt.Errorf("no containerd found: say --containerd-version: %w", os.ErrNotExist)
	case j.snippet:
		_, err := fmt.Fprint(e.stdout, r.Snippet)
		return err
	default:
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		for _, c := range r.Checks {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.State, c.Area, c.Name, oneLine(c.Detail))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if r.Snippet != "" {
			fmt.Fprintf(e.stdout, "\n# Configuration for containerd %s; merge it and restart containerd.\n%s", r.Version, r.Snippet)
		}
	}
	if r.Bad() {
		return &codeError{code: exitUnsupported}
	}
	return nil
}
