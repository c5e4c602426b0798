//! The commands below `qemu-wrapper`.

use clap::Subcommand;

pub const AFTER_HELP: &str = "\
Example:
  vgpu-admin qemu-wrapper enable
  vgpu-admin qemu-wrapper status

This command affects only the host on which it runs. See /usr/share/doc/vgpu-config/docs/qemu-wrapper.md.";

#[derive(Debug, Subcommand)]
pub enum QemuWrapper {
    /// Enable vgpu-config's qemu-wrapper; takes effect when xenopsd is restarted
    #[command(after_help = "Example:\n  vgpu-admin qemu-wrapper enable --restart-toolstack")]
    Enable {
        /// Replace another qemu-wrapper that is configured; disable goes back to it
        #[arg(long)]
        force: bool,
        /// Restart the toolstack (xe-toolstack-restart), so that the change takes effect at once; running VMs are not affected
        #[arg(long)]
        restart_toolstack: bool,
        /// Only show whether something would be changed
        #[arg(long)]
        dry_run: bool,
    },
    /// Go back to the stock qemu-wrapper, or to the one that enable --force replaced; takes effect when xenopsd is restarted
    #[command(after_help = "Example:\n  vgpu-admin qemu-wrapper disable --restart-toolstack")]
    Disable {
        /// Restart the toolstack (xe-toolstack-restart), so that the change takes effect at once; running VMs are not affected
        #[arg(long)]
        restart_toolstack: bool,
        /// Only show whether something would be changed
        #[arg(long)]
        dry_run: bool,
    },
    /// Show which qemu-wrapper xenopsd starts
    #[command(after_help = "Example:\n  vgpu-admin qemu-wrapper status")]
    Status,
}
