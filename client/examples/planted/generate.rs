//! Conversations with planted facts, by rule and from a seed, so that the answers are known.

use std::fmt::Write as _;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Language {
    English,
    Chinese,
    /// A sentence of either.
    Mixed,
}

pub(crate) const LANGUAGES: [(Language, &str); 3] =
    [(Language::English, "en"), (Language::Chinese, "zh"), (Language::Mixed, "mixed")];

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Name,
    Number,
    Date,
    Preference,
    Negation,
    /// Only in the result of a tool.
    Tool,
}

pub(crate) const KINDS: [(Kind, &str); 6] = [
    (Kind::Name, "name"),
    (Kind::Number, "number"),
    (Kind::Date, "date"),
    (Kind::Preference, "preference"),
    (Kind::Negation, "negation"),
    (Kind::Tool, "tool result"),
];

/// Something that is said once and may be corrected later.
pub(crate) struct Fact {
    pub(crate) kind: Kind,
    /// What answers it, with the turn it was said in; the last holds.
    pub(crate) values: Vec<(usize, String)>,
    pub(crate) question: String,
}

impl Fact {
    /// What held when so many turns were over; `None` if nothing was said yet.
    pub(crate) fn at(&self, turns: usize) -> Option<&(usize, String)> {
        self.values.iter().rev().find(|(turn, _)| *turn < turns)
    }
}

pub(crate) struct Turn {
    pub(crate) user: String,
    /// What a tool brings, where one is called.
    pub(crate) tool: Option<String>,
    pub(crate) assistant: String,
}

pub(crate) struct Script {
    pub(crate) turns: Vec<Turn>,
    pub(crate) facts: Vec<Fact>,
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % most as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

const THINGS: [(&str, &str); 40] = [
    ("boat", "小船"),
    ("garage", "车库"),
    ("server", "服务器"),
    ("notebook", "笔记本"),
    ("bicycle", "自行车"),
    ("piano", "钢琴"),
    ("greenhouse", "温室"),
    ("drone", "无人机"),
    ("printer", "打印机"),
    ("telescope", "望远镜"),
    ("camera", "相机"),
    ("kiln", "窑炉"),
    ("aquarium", "鱼缸"),
    ("tractor", "拖拉机"),
    ("violin", "小提琴"),
    ("cabin", "木屋"),
    ("freezer", "冰柜"),
    ("kayak", "皮划艇"),
    ("loom", "织布机"),
    ("scooter", "滑板车"),
    ("safe", "保险箱"),
    ("orchard", "果园"),
    ("studio", "工作室"),
    ("wardrobe", "衣柜"),
    ("trailer", "拖车"),
    ("beehive", "蜂箱"),
    ("projector", "投影仪"),
    ("radio", "收音机"),
    ("sauna", "桑拿房"),
    ("tent", "帐篷"),
    ("lathe", "车床"),
    ("guitar", "吉他"),
    ("balcony", "阳台"),
    ("well", "水井"),
    ("carpet", "地毯"),
    ("clock", "挂钟"),
    ("fountain", "喷泉"),
    ("ladder", "梯子"),
    ("mill", "磨坊"),
    ("robot", "机器人"),
];
const SYLLABLES: [&str; 24] = [
    "ka", "lo", "mi", "ren", "tor", "vel", "zan", "bru", "cel", "dor", "fen", "gal", "hul", "jor", "kes", "lum", "mor",
    "nax", "pol", "quen", "ras", "sil", "tam", "wex",
];
const HAN: [&str; 24] = [
    "云", "岚", "澈", "霖", "柏", "棠", "砚", "泽", "溪", "朔", "榆", "鹭", "桐", "麓", "屿", "晖", "芷", "珩", "漪",
    "杉", "笙", "穗", "皓", "菁",
];
const CHATTER: [(&str, &str); 16] = [
    ("It rained again this morning, so I stayed in and read.", "今天早上又下雨了，我就在家看书。"),
    ("Somebody asked me about the {thing} today, but I had no time.", "今天有人问起{thing}，可我没空。"),
    ("I walked {number} steps yesterday and slept badly.", "我昨天走了 {number} 步，睡得不好。"),
    ("Could you explain how tides come about?", "你能解释一下潮汐是怎么来的吗？"),
    (
        "My neighbour wants to sell a {thing} and thinks {number} is a fair price.",
        "邻居想卖掉一台{thing}，觉得 {number} 块钱挺合适。",
    ),
    ("I am not sure what to cook tonight.", "我不知道今晚做什么菜。"),
    ("The meeting went on for hours and nothing was decided.", "会开了好几个小时，什么也没定下来。"),
    ("Please rewrite this politely: I will not come.", "请把这句话改得客气一点：我不来了。"),
    ("I saw a {thing} in a shop window and thought of you.", "我在橱窗里看到一个{thing}，想起了你。"),
    ("What do you think of long train journeys?", "你觉得长途火车旅行怎么样？"),
    (
        "My brother called; his {thing} broke and the repair costs {number}.",
        "我弟弟打电话说他的{thing}坏了，修理要 {number} 元。",
    ),
    ("Let us talk about something else for a while.", "我们先聊点别的吧。"),
    ("I have been thinking about learning to paint.", "我一直想学画画。"),
    ("Give me three ideas for a short weekend trip.", "给我三个周末短途旅行的主意。"),
    ("The old {thing} at my aunt's place is from 19{two}.", "我姑姑家的旧{thing}是 19{two} 年的。"),
    ("Nothing much happened today, which is fine by me.", "今天没什么事，这样也挺好。"),
];
const ANSWERS: [(&str, &str); 8] = [
    (
        "That sounds reasonable. Take your time, and tell me if I can help with any part of it.",
        "听起来不错。慢慢来，需要帮忙就告诉我。",
    ),
    (
        "Noted. There are a few ways to look at it, and which is best depends on what matters most to you.",
        "记下了。这件事可以从几个角度来看，哪个最好取决于您最看重什么。",
    ),
    (
        "I see. Many people find that a short break helps before they go on with such things.",
        "明白了。很多人觉得先休息一下再继续会更好。",
    ),
    (
        "Here are three thoughts: begin small, write down what worked, and do not worry about the rest yet.",
        "有三点想法：从小处开始，记下有效的做法，其余的先不用担心。",
    ),
    ("Thank you for telling me. I will keep it in mind while we go on.", "谢谢您告诉我，接下来我会留意。"),
    (
        "That is a good question without a short answer; in brief, several causes work together over time.",
        "这是个好问题，但答案不短；简单说，是几种原因长期共同作用的结果。",
    ),
    (
        "Of course. If you like, we can go through it step by step tomorrow.",
        "当然可以。如果您愿意，我们明天可以一步一步来。",
    ),
    ("Understood. I would not change anything for now and see how it goes.", "了解。我建议暂时不做改变，先看看情况。"),
];
const COLOURS: [(&str, &str); 12] = [
    ("amber", "琥珀色"),
    ("teal", "蓝绿色"),
    ("ivory", "象牙色"),
    ("crimson", "绯红色"),
    ("indigo", "靛蓝色"),
    ("olive", "橄榄色"),
    ("coral", "珊瑚色"),
    ("slate", "石板灰"),
    ("mauve", "淡紫色"),
    ("ochre", "赭石色"),
    ("jade", "玉绿色"),
    ("copper", "紫铜色"),
];

/// A conversation of so many turns.
pub(crate) fn script(language: Language, turns: usize, seed: u64) -> Script {
    let random = &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ turns as u64);
    (0..8).for_each(|_| _ = random.below(2));
    let mut attributes: Vec<(Kind, usize)> =
        (0..THINGS.len()).flat_map(|thing| KINDS.map(|(kind, _)| (kind, thing))).collect();
    let mut script = Script { turns: Vec::with_capacity(turns), facts: Vec::new() };
    let mut asked: Vec<(Kind, usize, bool)> = Vec::new();
    for turn in 0..turns {
        let han = match language {
            Language::English => false,
            Language::Chinese => true,
            Language::Mixed => random.below(2) == 0,
        };
        let mut user = chatter(random, han);
        let mut tool = (random.below(10) == 0).then(|| result(random, None));
        if random.below(5) == 0 && !attributes.is_empty() {
            let (kind, thing) = attributes.swap_remove(random.below(attributes.len()));
            let value = value(random, kind, han);
            let said = statement(kind, THINGS[thing], &value, han, false);
            place(&mut user, &mut tool, random, kind, said);
            let question = question(kind, THINGS[thing], han, random.below(2) == 0);
            script.facts.push(Fact { kind, values: vec![(turn, value)], question });
            asked.push((kind, thing, han));
        } else if random.below(12) == 0 && !script.facts.is_empty() {
            let which = random.below(script.facts.len());
            let (kind, thing, han) = asked[which];
            let value = value(random, kind, han);
            let said = statement(kind, THINGS[thing], &value, han, true);
            place(&mut user, &mut tool, random, kind, said);
            script.facts[which].values.push((turn, value));
        }
        let answers = (0..1 + random.below(3)).map(|_| pick(random.of(&ANSWERS.each_ref()), han));
        let assistant = answers.collect::<Vec<_>>().join(if han { "" } else { " " });
        script.turns.push(Turn { user, tool, assistant });
    }
    script
}

fn place(user: &mut String, tool: &mut Option<String>, random: &mut Random, kind: Kind, said: String) {
    if kind == Kind::Tool {
        *tool = Some(result(random, Some(said)));
    } else if random.below(2) == 0 {
        *user = format!("{user} {said}");
    } else {
        *user = format!("{said} {user}");
    }
}

fn pick(pair: &(&'static str, &'static str), han: bool) -> &'static str {
    if han { pair.1 } else { pair.0 }
}

fn chatter(random: &mut Random, han: bool) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(2) {
        let thing = pick(random.of(&THINGS.each_ref()), han);
        let sentence = pick(random.of(&CHATTER.each_ref()), han).replace("{thing}", thing);
        let sentence = sentence.replace("{number}", &(100 + random.below(9_000)).to_string());
        let sentence = sentence.replace("{two}", &(10 + random.below(89)).to_string());
        let _ = write!(text, "{}{sentence}", if text.is_empty() || han { "" } else { " " });
    }
    text
}

/// The long result of a tool, perhaps with a line that matters.
fn result(random: &mut Random, planted: Option<String>) -> String {
    let lines = 12 + random.below(20);
    let at = random.below(lines);
    let mut text = String::new();
    for line in 0..lines {
        match &planted {
            Some(planted) if line == at => text.push_str(planted),
            _ => {
                let (row, amount) = (random.below(900), random.below(90_000));
                let _ = write!(text, "row {row}: state ok, amount {amount}, checked by nobody in particular");
            }
        }
        text.push('\n');
    }
    text
}

/// A value that stands nowhere else.
fn value(random: &mut Random, kind: Kind, han: bool) -> String {
    match kind {
        Kind::Name | Kind::Negation if han => (0..4).map(|_| random.of(&HAN)).collect(),
        Kind::Name | Kind::Negation => {
            let name: String = (0..4).map(|_| random.of(&SYLLABLES)).collect();
            name[..1].to_ascii_uppercase() + &name[1..]
        }
        Kind::Number | Kind::Tool => (1_000_000 + random.below(8_999_999)).to_string(),
        Kind::Date => {
            let (year, month, day) = (2_030 + random.below(60), 1 + random.below(12), 1 + random.below(28));
            if han { format!("{year}年{month}月{day}日") } else { format!("{year}-{month:02}-{day:02}") }
        }
        Kind::Preference => {
            let [one, other] = [(); 2].map(|()| pick(random.of(&COLOURS.each_ref()), han));
            let number = 10 + random.below(990);
            if han { format!("{one}配{other} {number} 号") } else { format!("{one} with {other} no. {number}") }
        }
    }
}

/// What is said.
fn statement(kind: Kind, thing: (&str, &str), value: &str, han: bool, again: bool) -> String {
    let thing = if han { thing.1 } else { thing.0 };
    let said = match (kind, han) {
        (Kind::Name, false) => format!("My {thing} is called {value}."),
        (Kind::Name, true) => format!("我的{thing}叫{value}。"),
        (Kind::Number, false) => format!("The code of my {thing} is {value}."),
        (Kind::Number, true) => format!("我的{thing}的密码是 {value}。"),
        (Kind::Date, false) => format!("My {thing} will be inspected on {value}."),
        (Kind::Date, true) => format!("我的{thing}{value}要年检。"),
        (Kind::Preference, false) => format!("For the {thing} I prefer {value}."),
        (Kind::Preference, true) => format!("{thing}我更喜欢{value}。"),
        (Kind::Negation, false) => format!("Never lend my {thing} to {value}."),
        (Kind::Negation, true) => format!("千万不要把我的{thing}借给{value}。"),
        (Kind::Tool, false) => format!("serial of {thing}: {value}"),
        (Kind::Tool, true) => format!("{thing}序列号：{value}"),
    };
    match (again, kind, han) {
        (false, ..) => said,
        (true, Kind::Tool, _) => format!("{said} (changed)"),
        (true, _, false) => format!("Correction: {}{}", said[..1].to_lowercase(), &said[1..]),
        (true, _, true) => format!("更正一下：{said}"),
    }
}

/// What is asked later, in the words of the statement or in others.
fn question(kind: Kind, thing: (&str, &str), han: bool, in_others: bool) -> String {
    let thing = if han { thing.1 } else { thing.0 };
    let [english, chinese] = match (kind, in_others) {
        (Kind::Name, false) => ["What is my {} called?", "我的{}叫什么？"],
        (Kind::Name, true) => ["Which name did I give to the {}?", "我给{}起了什么名字？"],
        (Kind::Number, false) => ["What is the code of my {}?", "我的{}的密码是多少？"],
        (Kind::Number, true) => ["Which digits open the {}?", "打开{}要输入哪几个数字？"],
        (Kind::Date, false) => ["When will my {} be inspected?", "我的{}什么时候年检？"],
        (Kind::Date, true) => ["On which day is the check of the {}?", "{}哪一天检查？"],
        (Kind::Preference, false) => ["Which colours do I prefer for the {}?", "{}我更喜欢什么颜色？"],
        (Kind::Preference, true) => ["Which shades did I choose for the {}?", "{}我选了什么色系？"],
        (Kind::Negation, false) => ["To whom must my {} never be lent?", "我的{}不能借给谁？"],
        (Kind::Negation, true) => ["Who may not borrow the {}?", "谁不可以借用{}？"],
        (Kind::Tool, false) => ["What is the serial of the {}?", "{}的序列号是多少？"],
        (Kind::Tool, true) => ["Which identification does the {} carry?", "{}的机身编号是什么？"],
    };
    if han { chinese } else { english }.replace("{}", thing)
}
