//! Our argument, changed.

/// Our argument with another GPU pool and priority.
pub fn moved(argument: &str, pool: &str, priority: &str) -> String {
    argument.replace("pool_id=A", &format!("pool_id={pool}")).replace("priority=high", &format!("priority={priority}"))
}
