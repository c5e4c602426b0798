//! The resource pool of a case: three hosts in scratch roots that serve one case after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use simulated_host::{Service, SimulatedHost, SimulatedPool};
use vgpu_config::entry::Entry;
use vgpu_config::model::VmUuid;
use vgpu_config::operations::{Caller, Host};
use vgpu_config::paths::Root;
use vgpu_config::store::Store;
use vgpu_tests::{ScratchRoot, uuid};

use super::args;
use super::boots::LastBoot;
use super::foreign::Foreign;
use super::ledger::{Ledger, Said, Says, Told};
use super::step::{FIRST_VMS, HOSTS, WrittenArgs};

/// The platform key of the arguments.
pub const ARGS: &str = "device-model-args";

/// A start has all the time it needs, however busy the machine: nothing here is about time.
const PATIENT: &str = "deadline = 60.0\n";
/// But where XAPI hangs, it is waited for.
const IMPATIENT: &str = "deadline = 0.5\n";

/// Scratch roots with our programs, and the database with which every case begins.
pub struct Site {
    roots: Vec<ScratchRoot>,
    template: Vec<u8>,
}

impl Site {
    /// Roots in memory, where there is such a place: nothing waits for a disk there.
    pub fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() { shm } else { Path::new("/tmp") };
        let roots: Vec<_> = (0..HOSTS).map(|_| ScratchRoot::new_in(parent)).collect();
        drop(Store::open(&roots[0].database()).unwrap());
        let template = fs::read(roots[0].database()).unwrap();
        Self { roots, template }
    }

    /// Every host as it was when it was installed.
    fn clear(&self) {
        for root in &self.roots {
            fs::create_dir_all(root.database().parent().unwrap()).unwrap();
            fs::write(root.database(), &self.template).unwrap();
            let _ = fs::remove_file(root.path("etc/vgpu/vgpu_config.db-journal"));
            let _ = fs::remove_file(root.path("var/log/user.log"));
            root.settings(PATIENT);
        }
    }
}

/// The resource pool of a case, and what is noted of it.
pub struct World<'a> {
    pub site: &'a Site,
    pub pool: SimulatedPool,
    databases: Vec<Connection>,
    /// Every VM that there ever was.
    pub vms: Vec<VmUuid>,
    /// The snapshots, each with its VM, the oldest first.
    pub snapshots: Vec<(VmUuid, String)>,
    pub ledger: Ledger,
    /// The hosts that have crashed.
    pub crashed: [bool; HOSTS],
    /// The service of each host that fails.
    pub broken: [Option<Service>; HOSTS],
    /// The VM that somebody has changed last.
    pub last_changed: Option<VmUuid>,
    /// What the last boot of each VM got.
    pub last_boots: BTreeMap<VmUuid, LastBoot>,
    /// What is not ours in the VMs' arguments.
    pub foreign: Foreign,
}

impl<'a> World<'a> {
    pub fn new(site: &'a Site, first_args: &[Option<WrittenArgs>; FIRST_VMS]) -> Self {
        site.clear();
        let folders: Vec<PathBuf> = site.roots.iter().map(|root| root.folder().to_owned()).collect();
        let pool = SimulatedPool::start_in(&folders).expect("a simulated pool starts");
        let open = |root: &ScratchRoot| {
            Connection::open_with_flags(root.database(), OpenFlags::SQLITE_OPEN_READ_WRITE).expect("it can be opened")
        };
        let mut world = Self {
            site,
            pool,
            databases: site.roots.iter().map(open).collect(),
            vms: Vec::new(),
            snapshots: Vec::new(),
            ledger: Ledger::default(),
            crashed: [false; HOSTS],
            broken: [None; HOSTS],
            last_changed: None,
            last_boots: BTreeMap::new(),
            foreign: Foreign::default(),
        };
        for args in first_args {
            let vm = world.next_vm();
            world.create(vm, args.as_ref());
        }
        world.note_foreign();
        for host in 0..HOSTS {
            world.pool.sync_replica(host).expect("nothing is wrong yet");
            world.ledger.copied(host);
            // Whether a guest that reboots is faster is for a case to say.
            world.host(host).hold_events(true);
        }
        world
    }

    /// A VM that there never was.
    pub fn next_vm(&self) -> VmUuid {
        uuid(u32::try_from(self.vms.len()).unwrap()).parse().unwrap()
    }

    /// Creates a VM, known or not.
    pub fn create(&mut self, vm: VmUuid, args: Option<&WrittenArgs>) {
        self.pool.coordinator().create_vm_with_uuid(&vm.to_string(), "vm");
        // Where nobody reaches XAPI, nobody writes them.
        let text = args.map(|args| args::text(args));
        let _ = self.pool.coordinator().set_platform_key(&vm.to_string(), ARGS, text.as_deref());
        if !self.vms.contains(&vm) {
            self.vms.push(vm);
        }
    }

    pub fn host(&self, host: usize) -> &SimulatedHost {
        self.pool.host(host)
    }

    pub fn root(&self, host: usize) -> &'a ScratchRoot {
        &self.site.roots[host]
    }

    /// The library on a host, in root's name.
    pub fn library(&self, host: usize) -> Result<Host, String> {
        Host::open(Root::at(self.root(host).folder()), Caller::Root).map_err(|error| error.to_string())
    }

    /// Lets a start on this host wait for XAPI for a short time only, or as long as it takes.
    pub fn hurry(&self, host: usize, hurry: bool) {
        self.root(host).settings(if hurry { IMPATIENT } else { PATIENT });
    }

    /// Whether programs on a host get an answer from XAPI.
    pub fn has_xapi(&self, host: usize) -> bool {
        // XAPI looks for the host before it looks for the plugin.
        let answer = self.host(host).call_plugin("none", "none", &[]);
        self.broken[host] != Some(Service::Xapi) && answer.is_err_and(|error| error.code == "XENAPI_MISSING_PLUGIN")
    }

    /// Whether XAPI has a record of a VM.
    pub fn is_alive(&self, vm: &VmUuid) -> bool {
        self.pool.coordinator().vm_ref(&vm.to_string()).is_ok()
    }

    /// The VMs that XAPI has a record of.
    pub fn living(&self) -> Vec<VmUuid> {
        self.vms.iter().copied().filter(|vm| self.is_alive(vm)).collect()
    }

    /// The device-model-args in XAPI's record.
    pub fn args_in_xapi(&self, vm: &VmUuid) -> Option<String> {
        self.pool.coordinator().platform(&vm.to_string()).get(ARGS).cloned()
    }

    /// What a host's database says.
    pub fn says(&self, host: usize) -> Says {
        self.rows(host).into_iter().map(|(vm, (said, _))| (vm, said)).collect()
    }

    /// The same with the numbers, read without the library: a row by hand is a row before any program has seen it.
    pub fn rows(&self, host: usize) -> BTreeMap<VmUuid, (Said, Option<u32>)> {
        let sql = "SELECT vm_state.vm_uuid, pool_id, priority, revision,
                CAST(coalesce(strftime('%s', coalesce(updated_at, removed_at)), '0') AS INTEGER), device_vm_id
            FROM vm_state LEFT JOIN vms ON vms.vm_uuid = vm_state.vm_uuid";
        let mut statement = self.databases[host].prepare_cached(sql).expect("it is SQL");
        let rows = statement.query_map([], |row| {
            let pool = row.get::<_, Option<String>>(1)?.and_then(|pool| pool.parse().ok());
            let priority = row.get::<_, Option<i64>>(2)?.and_then(|priority| priority.to_string().parse().ok());
            let said = Said { revision: row.get(3)?, changed_at: row.get(4)?, settings: pool.zip(priority) };
            Ok((row.get::<_, String>(0)?.parse().expect("a UUID"), (said, row.get(5)?)))
        });
        rows.expect("it can be read").map(|row| row.expect("it can be read")).collect()
    }

    /// Whether XAPI was not told of what a host's database says of a VM.
    pub fn has_untold_change(&self, host: usize, vm: &VmUuid) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = ?1 AND pushed_revision < revision)";
        self.databases[host].query_row(sql, [vm.to_string()], |row| row.get(0)).expect("it can be read")
    }

    /// The revision of a VM that a host has told XAPI; 0 where there is none.
    pub fn told_revision(&self, host: usize, vm: &VmUuid) -> i64 {
        let sql = "SELECT coalesce((SELECT pushed_revision FROM vm_state WHERE vm_uuid = ?1), 0)";
        self.databases[host].query_row(sql, [vm.to_string()], |row| row.get(0)).expect("it can be read")
    }

    /// Edits a host's database as an administrator does; gives the number of rows that were changed.
    pub fn sql(&self, host: usize, sql: &str) -> Result<usize, String> {
        self.databases[host].execute(sql, []).map_err(|error| error.to_string())
    }

    /// What XAPI's database says.
    pub fn replica(&self) -> Says {
        let read = |(key, text): (&String, &String)| {
            let vm = Entry::vm_of_key(key)?;
            Some((vm, Said::from(&Entry::parse(text).expect("only programs of ours write it"))))
        };
        self.pool.coordinator().pool_other_config().iter().filter_map(read).collect()
    }

    /// Notes what a step on a host has changed, and checks what holds after every step.
    pub fn observe(&mut self, host: usize, told: &Told) -> Result<(), String> {
        let (says, replica) = (self.says(host), self.replica());
        self.ledger.observe(host, says, replica, told)
    }
}
