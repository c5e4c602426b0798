//! `make demo`: an administrator's day on a simulated host and in a simulated resource pool, with the real plugin, hook and
//! vgpu-admin.

mod one_host;
mod stage;
mod three_hosts;

use one_host::OneHost;
use stage::Stage;
use three_hosts::ThreeHosts;

fn main() {
    let stage = Stage::new();
    OneHost::play(&stage);
    ThreeHosts::play(&stage);
    Stage::say("That was it. The scratch folders and the simulated hosts are gone when this ends.");
}
