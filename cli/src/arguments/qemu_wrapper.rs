//! The commands below `qemu-wrapper`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum QemuWrapper {
    /// Switch it on: xenopsd uses it after its next start
    #[command(after_help = "Example:\n  vgpu-admin qemu-wrapper enable --restart-toolstack")]
    Enable {
        /// Also if another wrapper is configured; disable goes back to that
        #[arg(long)]
        force: bool,
        /// Restart the toolstack (xe-toolstack-restart), so that it takes effect at once; running VMs go on
        #[arg(long)]
        restart_toolstack: bool,
    },
    /// Switch it off: xenopsd uses XCP-ng's own after its next start
    #[command(after_help = "Example:\n  vgpu-admin qemu-wrapper disable --restart-toolstack")]
    Disable {
        /// Restart the toolstack (xe-toolstack-restart), so that it takes effect at once; running VMs go on
        #[arg(long)]
        restart_toolstack: bool,
    },
    /// Show which wrapper xenopsd starts
    #[command(after_help = "Example:\n  vgpu-admin qemu-wrapper status")]
    Status,
}
