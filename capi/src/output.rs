//! What C gets back. The caller's structures and buffers are the only memory: nothing has to be freed.

use std::ffi::{c_char, c_int};
use std::mem;
use std::ptr;

use vgpu_config::model::PoolId;
use vgpu_config::reply::VmReply;

use crate::boundary::Failure;
use crate::code::{VGPU_BUFFER_TOO_SMALL, VGPU_INVALID_PARAM};

/// A registered VM.
///
/// Set size to sizeof(struct vgpu_vm_config) before each call that fills one. A library that is older than the caller's header
/// fills the fields that it knows, and sets the others to 0. Texts end with a zero byte; times are UTC.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct vgpu_vm_config {
    /// The size of the structure, set by the caller.
    pub size: usize,
    /// Counts the changes of the settings.
    pub revision: i64,
    /// The length of the VM's name in bytes, also if vm_name has only its beginning.
    pub vm_name_length: usize,
    /// The device's number for the VM: vm_id on QEMU's command line.
    pub device_vm_id: u32,
    /// VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM or VGPU_PRIORITY_HIGH.
    pub priority: i32,
    /// 1 if XAPI knows the VM and has the last change, otherwise 0.
    pub in_xapi: i32,
    /// 1 if the VM was started on this host, otherwise 0.
    pub was_started: i32,
    /// 1 if its last start had the settings above, otherwise 0: they take effect at the next start.
    pub start_is_current: i32,
    /// The priority of the last start, or VGPU_UNSET_PRIORITY.
    pub started_priority: i32,
    /// The GPU pool of the last start, or VGPU_UNSET_POOL.
    pub started_pool_id: c_char,
    /// The GPU pool: 'A' or 'B'.
    pub pool_id: c_char,
    /// In lower case.
    pub vm_uuid: [c_char; 37],
    /// When the VM was registered.
    pub created_at: [c_char; 20],
    /// When its settings were last changed.
    pub updated_at: [c_char; 20],
    /// Empty, or if XAPI did not answer: when this host last had the settings of all hosts, or "unknown".
    pub as_of: [c_char; 20],
    /// The name, UTF-8. Only the beginning of a longer one: see vgpu_get_vm_name().
    pub vm_name: [c_char; 256],
    /// 0.
    pub reserved: [u8; 5],
}

impl vgpu_vm_config {
    pub fn new(vm: &VmReply) -> Self {
        let start = vm.last_start.as_ref();
        let letter = |pool: PoolId| pool.as_str().as_bytes()[0].cast_signed();
        let mut config = Self {
            size: mem::size_of::<Self>(),
            revision: vm.revision,
            vm_name_length: vm.vm_name.as_ref().map_or(0, String::len),
            device_vm_id: vm.vm_id.get(),
            priority: vm.priority.as_number().into(),
            in_xapi: vm.in_xapi.into(),
            was_started: start.is_some().into(),
            start_is_current: start.is_some_and(|start| start.is_current).into(),
            started_priority: start.and_then(|start| start.priority).map_or(-1, |priority| priority.as_number().into()),
            started_pool_id: start.and_then(|start| start.pool).map_or(0, letter),
            pool_id: letter(vm.pool),
            vm_uuid: [0; 37],
            created_at: [0; 20],
            updated_at: [0; 20],
            as_of: [0; 20],
            vm_name: [0; 256],
            reserved: [0; 5],
        };
        copy_text(&mut config.vm_uuid, &vm.vm_uuid.to_string());
        copy_text(&mut config.created_at, &vm.created_at);
        copy_text(&mut config.updated_at, &vm.updated_at);
        copy_text(&mut config.as_of, vm.as_of.as_deref().unwrap_or_default());
        copy_text(&mut config.vm_name, vm.vm_name.as_deref().unwrap_or_default());
        config
    }
}

/// Copies as much of a text as there is room for, whole characters, and a zero byte.
pub fn copy_text(to: &mut [c_char], text: &str) {
    let Some(room) = to.len().checked_sub(1) else { return };
    let length = text.floor_char_boundary(room);
    for (to, from) in to.iter_mut().zip(text.as_bytes()[..length].iter().chain(&[0])) {
        *to = from.cast_signed();
    }
}

/// A structure that begins with its size as a usize, and may grow.
///
/// # Safety
/// It is repr(C) without padding, its first field is its size, and all zero bytes are a value of it.
pub unsafe trait Growing: Copy {
    /// The size that it had in the first release.
    const FIRST: usize;
    const NAME: &str;
}

// SAFETY: the test below adds up the sizes of its fields.
unsafe impl Growing for vgpu_vm_config {
    const FIRST: usize = mem::size_of::<Self>();
    const NAME: &str = "vm";
}

/// Larger than any structure will be: a size beyond it was never set.
const LARGEST: usize = 64 * 1024;

/// The caller's structure.
#[derive(Debug, Clone, Copy)]
pub struct Place<T> {
    at: *mut T,
    size: usize,
}

impl<T: Growing> Place<T> {
    /// # Safety
    /// at is NULL or points to a structure of the size that its first field says, for as long as this exists.
    pub unsafe fn new(at: *mut T) -> Result<Self, Failure> {
        if at.is_null() {
            return Err(Failure::null(T::NAME));
        }
        // SAFETY: it is not NULL, and a structure of any version begins with its size.
        let size = unsafe { at.cast::<usize>().read_unaligned() };
        let refuse = |code, why| Err(Failure { code, message: format!("{}: size {size} is {why}", T::NAME) });
        match size {
            _ if size < T::FIRST => refuse(VGPU_BUFFER_TOO_SMALL, "too small: set it to the structure's size"),
            _ if size > LARGEST => refuse(VGPU_INVALID_PARAM, "not a size: set it to the structure's size"),
            _ => Ok(Self { at, size }),
        }
    }

    /// The same, or None for NULL.
    ///
    /// # Safety
    /// As [`Self::new`].
    pub unsafe fn optional(at: *mut T) -> Result<Option<Self>, Failure> {
        // SAFETY: this function's caller promises it.
        (!at.is_null()).then(|| unsafe { Self::new(at) }).transpose()
    }

    pub fn fill(self, value: &T) {
        let (first, known) = (mem::size_of::<usize>(), mem::size_of::<T>().min(self.size));
        let (from, to) = (ptr::from_ref(value).cast::<u8>(), self.at.cast::<u8>());
        // SAFETY: both have at least `known` bytes, `known` is at least T::FIRST, and our value is not the caller's memory. The
        // size stays as the caller has set it.
        unsafe { copy_range(from, to, first, known) };
        // SAFETY: the caller's structure has `size` bytes, of which `known` are filled.
        let rest = unsafe { to.add(known) };
        // SAFETY: as above.
        unsafe { rest.write_bytes(0, self.size - known) };
    }
}

/// # Safety
/// Both have at least end bytes, of which none belongs to both.
unsafe fn copy_range(from: *const u8, to: *mut u8, start: usize, end: usize) {
    // SAFETY: `start` lies within both.
    let from = unsafe { from.add(start) };
    // SAFETY: as above.
    let to = unsafe { to.add(start) };
    // SAFETY: this function's caller promises it.
    unsafe { ptr::copy_nonoverlapping(from, to, end - start) };
}

/// Writes one value where C wants it.
///
/// # Safety
/// to is NULL or points to a place for one.
pub unsafe fn put<T>(name: &str, to: *mut T, value: T) -> Result<(), Failure> {
    if to.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: it is not NULL, and this function's caller promises the rest.
    unsafe { to.write(value) };
    Ok(())
}

/// Copies a whole text into the caller's buffer, or none of it.
///
/// # Safety
/// buffer has size bytes, or is NULL and size is 0.
pub unsafe fn put_text(buffer: *mut c_char, size: usize, text: &str) -> Result<(), c_int> {
    if buffer.is_null() || size <= text.len() {
        return Err(VGPU_BUFFER_TOO_SMALL);
    }
    let length = text.len();
    // SAFETY: the buffer has more than `length` bytes, and is not ours.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, length) };
    // SAFETY: as above.
    let end = unsafe { buffer.add(length) };
    // SAFETY: as above.
    unsafe { end.write(0) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure of the first release, with a field that came later.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Grown {
        size: usize,
        first: u64,
        later: u64,
    }

    // SAFETY: its fields are three numbers of 8 bytes.
    unsafe impl Growing for Grown {
        const FIRST: usize = 16;
        const NAME: &str = "grown";
    }

    const OURS: Grown = Grown { size: 24, first: 1, later: 2 };

    #[test]
    fn a_caller_with_an_older_header_gets_the_fields_that_it_knows() {
        let mut theirs = [16_u64, 9, 9];
        // SAFETY: it has 24 bytes.
        unsafe { Place::new(theirs.as_mut_ptr().cast::<Grown>()) }.unwrap().fill(&OURS);
        assert_eq!(theirs, [16, 1, 9]);
    }

    #[test]
    fn a_caller_with_a_newer_header_gets_zero_for_what_is_not_known() {
        let mut theirs = [32_u64, 9, 9, 9];
        // SAFETY: it has 32 bytes.
        unsafe { Place::new(theirs.as_mut_ptr().cast::<Grown>()) }.unwrap().fill(&OURS);
        assert_eq!(theirs, [32, 1, 2, 0]);
    }

    #[test]
    fn a_size_that_was_not_set_is_refused() {
        for (size, code) in [(0, VGPU_BUFFER_TOO_SMALL), (15, VGPU_BUFFER_TOO_SMALL), (usize::MAX, VGPU_INVALID_PARAM)]
        {
            let mut theirs = Grown { size, ..OURS };
            // SAFETY: it is a structure, and its size is refused.
            let failure = unsafe { Place::new(&raw mut theirs) }.unwrap_err();
            assert_eq!(failure.code, code, "{}", failure.message);
        }
        // SAFETY: it is NULL.
        assert_eq!(unsafe { Place::<Grown>::new(ptr::null_mut()) }.unwrap_err().message, "grown is NULL");
        // SAFETY: it is NULL.
        assert!(unsafe { Place::<Grown>::optional(ptr::null_mut()) }.unwrap().is_none());
    }

    #[test]
    fn the_structures_have_no_padding() {
        let fields = 8 + 8 + 8 + 6 * 4 + 2 + 37 + 3 * 20 + 256 + 5;
        assert_eq!(mem::size_of::<vgpu_vm_config>(), fields);
        assert_eq!(mem::size_of::<crate::change::vgpu_change>(), 8 + 4 * 4);
    }

    #[test]
    fn a_text_is_cut_between_characters_and_always_ends() {
        let mut place = [1; 4];
        for (text, expected) in [("ab", "ab"), ("abcd", "abc"), ("aéé", "aé"), ("ééé", "é"), ("", "")] {
            copy_text(&mut place, text);
            let bytes: Vec<_> = place.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0).collect();
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
        copy_text(&mut [], "ab");
    }

    #[test]
    fn a_text_is_put_whole_or_not_at_all() {
        let mut buffer = [9; 4];
        // SAFETY: it has 4 bytes.
        let put = |buffer: &mut [c_char; 4], text| unsafe { put_text(buffer.as_mut_ptr(), 4, text) };
        assert_eq!(put(&mut buffer, "abcd"), Err(VGPU_BUFFER_TOO_SMALL));
        assert_eq!(buffer, [9; 4]);
        assert_eq!(put(&mut buffer, "abc"), Ok(()));
        assert_eq!(buffer, [97, 98, 99, 0]);
        // SAFETY: there is no buffer.
        assert_eq!(unsafe { put_text(ptr::null_mut(), 0, "") }, Err(VGPU_BUFFER_TOO_SMALL));
    }
}
