use worksharing::work_shared;

#[derive(Debug, Clone)]
struct Shop(u32);

impl Shop {
    #[work_shared(detach)]
    fn shown(&self, n: u32) -> String {
        let braces = "{self}";
        format!("{{self}} {n} {self:?} {braces}")
    }
}

fn main() {}
