package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/store"
)

// statusInfo is the JSON of the state of a store.
type statusInfo struct {
	Root    string     `json:"root"`
	Bytes   int64      `json:"bytes"`  // of all blobs
	Shared  int64      `json:"shared"` // what copies for each snapshot would take on top
	Links   int        `json:"links"`
	Mounts  int        `json:"mounts"`
	Damaged int        `json:"damaged"`
	Staged  int        `json:"staged"`
	Blobs   []blobInfo `json:"blobs"`
}

type blobInfo struct {
	Profile   string    `json:"profile"`
	Digest    string    `json:"digest"`
	Bytes     int64     `json:"bytes"`
	Created   time.Time `json:"created"`
	Mounted   bool      `json:"mounted"`
	Damaged   bool      `json:"damaged,omitempty"`
	Snapshots []string  `json:"snapshots"` // that are this blob
	Users     []string  `json:"users"`     // active snapshots and views on it
}

func newStatus(e *env) *cobra.Command {
	var conf configFlag
	var root string
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Blobs of the store, mounts, who uses them, bytes shared",
		Long: `Print what is in the store: each blob (a layer, or a committed container) with its size, whether it is mounted, how
many snapshots are this blob, and the containers and views that use it. Works while a daemon serves the store.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			c, err := conf.load()
			if err != nil {
				return err
			}
			if root == "" {
				root = c.StoreRoot()
			}
			return e.status(root, asJSON, all)
		},
	}
	conf.register(cmd)
	cmd.Flags().StringVar(&root, "root", "", "root of the store (overrides the configuration)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "name all users of a blob, and do not shorten names")
	return cmd
}

// status opens the store of a root, if it is there, and prints it.
func (e *env) status(root string, asJSON, all bool) (err error) {
	if _, err := os.Stat(root); err != nil {
		return err
	}
	st, err := store.Open(e.ctx, store.Config{Root: root})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s, err := st.Status(e.ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return e.json(statusJSON(root, s))
	}
	return printStatus(e.stdout, root, s, all)
}

func statusJSON(root string, s store.Status) statusInfo {
	info := statusInfo{
		Root: root, Bytes: s.Bytes, Shared: s.Shared, Links: s.Links, Mounts: s.Mounts, Damaged: s.Damaged, Staged: s.Staged,
		Blobs: []blobInfo{},
	}
	for _, b := range s.Blobs {
		info.Blobs = append(info.Blobs, blobInfo{
			Profile: b.Key.Profile, Digest: b.Key.Digest.String(), Bytes: b.Bytes(), Created: b.Created.UTC(),
			Mounted: b.Mounted, Damaged: b.Damaged, Snapshots: names(b), Users: append([]string{}, b.Users...),
		})
	}
	return info
}

// names are the snapshots that are a blob, by name where they have one.
func names(b store.BlobStatus) []string {
	if len(b.Names) == len(b.Links) {
		return append([]string{}, b.Names...)
	}
	return append([]string{}, b.Links...)
}

// shortDigest is how much of a digest a table shows.
const shortDigest = 12

func printStatus(out io.Writer, root string, s store.Status, all bool) error {
	fmt.Fprintf(out, "root     %s\n", root)
	fmt.Fprintf(out, "blobs    %d, %s\n", len(s.Blobs), bytesText(s.Bytes))
	fmt.Fprintf(out, "shared   %s more if each of %d snapshots had its own copy\n", bytesText(s.Shared), s.Links)
	fmt.Fprintf(out, "mounts   %d\n", s.Mounts)
	if s.Damaged > 0 {
		fmt.Fprintf(out, "damaged  %d: pull their images again\n", s.Damaged)
	}
	if s.Staged > 0 {
		fmt.Fprintf(out, "staged   %d unfinished\n", s.Staged)
	}
	if len(s.Blobs) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DIGEST\tPROFILE\tSIZE\tSTATE\tSNAPSHOTS\tUSERS")
	for _, b := range s.Blobs {
		d := b.Key.Digest.Encoded()
		if !all {
			d = d[:min(len(d), shortDigest)]
		}
		state := "-"
		if b.Mounted {
			state = "mounted"
		}
		if b.Damaged {
			state = "damaged"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", d, b.Key.Profile, bytesText(b.Bytes()), state, len(b.Links), userText(b.Users, all))
	}
	return w.Flush()
}

// maxUsers is how many users of a blob a table names.
const maxUsers = 3

func userText(users []string, all bool) string {
	users = slices.Clone(users)
	for i, u := range users {
		users[i] = printable(u)
		if parts := strings.SplitN(u, "/", 3); !all && len(parts) == 3 { // containerd's keys: namespace/number/key
			users[i] = printable(parts[0] + "/" + parts[2][:min(len(parts[2]), shortDigest)])
		}
	}
	if len(users) == 0 {
		return "-"
	}
	if n := len(users); !all && n > maxUsers {
		return fmt.Sprintf("%s and %d more", strings.Join(users[:maxUsers], ", "), n-maxUsers)
	}
	return strings.Join(users, ", ")
}
