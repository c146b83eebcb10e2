package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const about = `Syncbase keeps an application's data on every device and brings the devices together whenever they meet.

DB and COLLECTION are a name of your own, or owner:name where the owner is another principal.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 a check of a batch failed.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "syncbase", Short: "Store data locally, sync it with every peer in reach", Long: about,
		Example: indent(`
syncbase serve
syncbase db create notes
syncbase collection create notes todo
syncbase put notes todo milk '{"done": false}'
syncbase watch notes --initial`),
		SilenceErrors: true, SilenceUsage: true, Version: version(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "text" && a.output != "json" {
				return fmt.Errorf("output %q: want text or json", a.output)
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(plainFlagError)
	root.SetVersionTemplate("syncbase {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", "text", "text for people, json for scripts")
	flags.StringVar(&a.address, "address", "", "daemon to speak to: unix:///path/to.sock or host:port (env SYNCBASE_ADDRESS;\ndefault the socket of the data directory)")
	flags.StringVar(&a.data, "data", "", "data directory of the daemon to run or to speak to")
	flags.StringVar(&a.tls.Cert, "cert", "", "certificate to show at host:port, PEM file (env SYNCBASE_CERT)")
	flags.StringVar(&a.tls.Key, "key", "", "its private key, PEM file (env SYNCBASE_KEY)")
	flags.StringVar(&a.tls.CA, "ca", "", "authorities to believe at host:port, PEM file (env SYNCBASE_CA)")
	for _, name := range []string{"cert", "key", "ca"} {
		_ = root.MarkPersistentFlagFilename(name, "pem")
	}
	_ = root.MarkPersistentFlagDirname("data")
	root.AddCommand(
		a.serveCommand(), a.configCommand(), a.statusCommand(),
		a.dbCommand(), a.collectionCommand(), a.schemaCommand(), a.conflictCommand(), a.servicePerms(),
		a.putCommand(), a.getCommand(), a.deleteCommand(), a.scanCommand(), a.deleteRangeCommand(), a.batchCommand(),
		a.watchCommand(), a.historyCommand(), a.importCommand(), a.exportCommand(),
		a.syncgroupCommand(), a.blobCommand(), a.peerCommand(), a.identityCommand(), a.pluginCommand(),
		a.backupCommand(), a.restoreCommand(), a.doctorCommand(), a.clockCommand(), a.versionCommand(),
	)
	return root
}
