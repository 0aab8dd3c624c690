"""Word lists and small fact tables used by the data generator."""


def _w(s):
    return s.split()


NAMES = _w("""Mia Tom Ana Leo Zoe Max Eva Sam Lily Omar Nina Paul Ruth Hugo Iris Jack Kate Liam Nora Oscar
Petra Quinn Rosa Theo Uma Victor Wendy Yuri Zara Aldo Bella Carlo Dana Emil Fiona Greta Henry Ines Jonas Karin
Lara Marco Nadia Otto Priya Ravi Sofia Tariq Ursula Vera Walter Xenia Yara Adam Bruno Clara Diego Elsa Felix Gina
Hana Igor Julia Kenji Lucia Mario Noel Olga Pablo Rita Simon Tina Ugo Viola Wanda Anton Bianca Chiara Daniel Elena
Franco Giulia Hector Ivan Jasmin Kurt Linda Milo Naomi Orson Paola Robin Sandra Tessa Umberto Vince Willa Arthur""")

ANIMALS = _w("""fox cat dog owl bear wolf rabbit mouse horse goat sheep hen duck goose frog turtle snake lizard eagle
crow robin sparrow deer moose otter beaver badger hedgehog squirrel bat lion tiger zebra giraffe monkey panda koala
whale dolphin seal shark crab snail bee ant spider camel donkey pig cow""")

COLORS = _w(
    "red blue green yellow orange purple pink brown black white gray silver golden violet turquoise crimson"
)

NOUNS = _w("""lantern bridge garden window basket bottle candle castle engine feather forest hammer island jacket kettle
ladder lemon letter market mirror mountain needle notebook orchard paddle pencil pillow planet pocket pumpkin puzzle
ribbon river rocket saddle school shadow shovel silver spoon station stone sugar table teapot temple thunder ticket
tower tractor train tunnel umbrella valley village violin wagon wallet whistle winter wizard yogurt zipper anchor
apple arrow balloon banana barrel beach bell berry blanket boat book boot bowl box brush bucket button cabin cake
camera canal card carpet cart cave chair cheese cherry clock cloud coat coffee coin comb compass cookie corner cotton
crown cup curtain desk diamond door dragon dress drum field finger flag flower flute fork fountain glass glove grape
guitar harbor hat helmet honey house ice ink iron jar jewel key kite knife lake lamp leaf library lock magnet map
marble mask meadow medal melon milk moon museum mushroom nail nest net nut oak ocean onion oven paint palace paper
park path peach pear pearl pepper phone piano picture plate plum pond potato prize queen radio rain ring road robot
roof room rope rose sail salt sand scarf scissors seed shell ship shirt shoe sky snow soap sock sofa song soup star
stove stream street string sun sword tea tent tiger toast tomato tooth towel toy tree trumpet vase wall watch water
wheel wind wing wire wood wool world yard""")

ADJ = _w("""quiet bright gentle clever brave tiny huge old young happy sleepy curious strange simple heavy light warm
cold soft rough smooth round narrow wide deep empty full fresh dry wet clean dusty broken shiny dark pale sharp sweet
sour salty loud calm wild tame proud kind honest lucky busy lazy quick slow strong weak rich poor early late""")

VERBS = _w("""walk jump carry open close paint build clean cook count dance draw fill find fix follow help hide hold
hunt join kick learn lift listen look mix move pack plant play pull push reach read rest ride roll run search sell
sing sit sleep smell smile start stop study swim talk teach throw touch travel turn visit wait wash watch work write""")
PAST = dict(
    zip(
        VERBS,
        _w("""walked jumped carried opened closed painted built cleaned cooked counted danced drew filled found
fixed followed helped hid held hunted joined kicked learned lifted listened looked mixed moved packed planted played
pulled pushed reached read rested rode rolled ran searched sold sang sat slept smelled smiled started stopped studied
swam talked taught threw touched traveled turned visited waited washed watched worked wrote"""),
    )
)

PLACES = [
    "old mill",
    "quiet harbor",
    "green valley",
    "market square",
    "stone bridge",
    "deep forest",
    "small island",
    "snowy mountain",
    "river bank",
    "empty library",
    "sunny meadow",
    "dark cave",
    "village school",
    "train station",
    "lighthouse",
    "apple orchard",
    "clock tower",
    "fishing pier",
    "city park",
    "desert road",
]

CITIES = _w("""Paris London Rome Madrid Berlin Vienna Prague Lisbon Dublin Oslo Helsinki Stockholm Athens Warsaw Budapest
Tokyo Beijing Seoul Delhi Mumbai Bangkok Cairo Nairobi Lagos Sydney Toronto Chicago Boston Seattle Denver Lima Bogota
Havana Milan Naples Turin Palermo Venice Florence Bologna Geneva Zurich Munich Hamburg Porto Seville Valencia Marseille
Lyon Krakow Kyoto Osaka Shanghai Istanbul Moscow Dakar Tunis Quito Santiago""")

CAPITALS = dict(
    p.split(":")
    for p in """France:Paris|Italy:Rome|Spain:Madrid|Germany:Berlin|Austria:Vienna|Portugal:Lisbon|
Ireland:Dublin|Norway:Oslo|Finland:Helsinki|Sweden:Stockholm|Denmark:Copenhagen|Greece:Athens|Poland:Warsaw|
Hungary:Budapest|Czechia:Prague|Belgium:Brussels|Netherlands:Amsterdam|Switzerland:Bern|Croatia:Zagreb|Serbia:Belgrade|
Romania:Bucharest|Bulgaria:Sofia|Ukraine:Kyiv|Russia:Moscow|Turkey:Ankara|Egypt:Cairo|Morocco:Rabat|Tunisia:Tunis|
Kenya:Nairobi|Ethiopia:Addis Ababa|Ghana:Accra|Senegal:Dakar|Nigeria:Abuja|Japan:Tokyo|China:Beijing|South Korea:Seoul|
India:New Delhi|Thailand:Bangkok|Vietnam:Hanoi|Indonesia:Jakarta|Nepal:Kathmandu|Iran:Tehran|Iraq:Baghdad|
Israel:Jerusalem|Jordan:Amman|Canada:Ottawa|Mexico:Mexico City|Cuba:Havana|Peru:Lima|Chile:Santiago|Argentina:Buenos Aires|
Brazil:Brasilia|Colombia:Bogota|Ecuador:Quito|Uruguay:Montevideo|Australia:Canberra|New Zealand:Wellington|
Iceland:Reykjavik|England:London|Scotland:Edinburgh|Wales:Cardiff|Slovakia:Bratislava|Slovenia:Ljubljana|Estonia:Tallinn|
Latvia:Riga|Lithuania:Vilnius|Malta:Valletta|Cyprus:Nicosia""".replace("\n", "").split("|")
)

CONTINENT = dict(
    p.split(":")
    for p in """France:Europe|Italy:Europe|Spain:Europe|Germany:Europe|Austria:Europe|Portugal:Europe|
Norway:Europe|Sweden:Europe|Greece:Europe|Poland:Europe|Egypt:Africa|Morocco:Africa|Kenya:Africa|Ghana:Africa|Nigeria:Africa|
Japan:Asia|China:Asia|India:Asia|Thailand:Asia|Vietnam:Asia|Nepal:Asia|Canada:North America|Mexico:North America|
Cuba:North America|Peru:South America|Chile:South America|Argentina:South America|Brazil:South America|
Australia:Oceania|New Zealand:Oceania""".replace("\n", "").split("|")
)

LANGUAGE = dict(
    p.split(":")
    for p in """France:French|Italy:Italian|Spain:Spanish|Germany:German|Austria:German|Portugal:Portuguese|
Brazil:Portuguese|Japan:Japanese|China:Chinese|Greece:Greek|Poland:Polish|Sweden:Swedish|Norway:Norwegian|Mexico:Spanish|
Argentina:Spanish|Russia:Russian|Turkey:Turkish|Egypt:Arabic|Finland:Finnish|Hungary:Hungarian""".replace(
        "\n", ""
    ).split("|")
)

OPPOSITE = dict(
    p.split(":")
    for p in """hot:cold|big:small|fast:slow|up:down|left:right|day:night|good:bad|light:dark|happy:sad|
young:old|rich:poor|full:empty|open:closed|early:late|strong:weak|hard:soft|wet:dry|high:low|loud:quiet|clean:dirty|
near:far|long:short|thick:thin|wide:narrow|true:false|first:last|inside:outside|above:below|win:lose|love:hate|
start:finish|give:take|push:pull|buy:sell|black:white|sweet:sour|deep:shallow|brave:afraid|heavy:light|safe:dangerous""".replace(
        "\n", ""
    ).split("|")
)

SOUNDS = dict(
    p.split(":")
    for p in """cat:meow|dog:woof|cow:moo|sheep:baa|duck:quack|frog:ribbit|lion:roar|pig:oink|horse:neigh|
owl:hoot|bee:buzz|snake:hiss|mouse:squeak|hen:cluck|wolf:howl|crow:caw|donkey:hee-haw|goose:honk""".replace(
        "\n", ""
    ).split("|")
)

LEGS = dict(
    p.split(":")
    for p in """spider:8|ant:6|bee:6|dog:4|cat:4|horse:4|hen:2|duck:2|owl:2|crab:10|snake:0|cow:4|
lizard:4|eagle:2|fox:4""".replace("\n", "").split("|")
)

COLOR_OF = dict(
    p.split(":")
    for p in """banana:yellow|grass:green|snow:white|coal:black|blood:red|lemon:yellow|milk:white|
chocolate:brown|carrot:orange|tomato:red|ocean:blue|leaf:green|strawberry:red|salt:white|pumpkin:orange|frog:green|
flamingo:pink|lime:green|cherry:red|sky:blue""".replace("\n", "").split("|")
)

ELEMENT = dict(
    p.split(":")
    for p in """hydrogen:H|helium:He|carbon:C|nitrogen:N|oxygen:O|sodium:Na|iron:Fe|gold:Au|silver:Ag|
copper:Cu|zinc:Zn|lead:Pb|tin:Sn|neon:Ne|calcium:Ca|chlorine:Cl|sulfur:S|potassium:K|mercury:Hg|uranium:U""".replace(
        "\n", ""
    ).split("|")
)

PLURAL = dict(
    p.split(":")
    for p in """mouse:mice|foot:feet|tooth:teeth|goose:geese|child:children|man:men|woman:women|ox:oxen|
leaf:leaves|knife:knives|wolf:wolves|box:boxes|city:cities|berry:berries|sheep:sheep|fish:fish|cat:cats|book:books|
dish:dishes|potato:potatoes|key:keys|baby:babies|shelf:shelves|bus:buses""".replace("\n", "").split(
        "|"
    )
)

PAST_TENSE = dict(
    p.split(":")
    for p in """go:went|see:saw|eat:ate|run:ran|write:wrote|sing:sang|take:took|give:gave|come:came|
find:found|buy:bought|teach:taught|swim:swam|know:knew|speak:spoke|break:broke|drive:drove|fly:flew|begin:began|
drink:drank|think:thought|build:built|sleep:slept|walk:walked|play:played""".replace(
        "\n", ""
    ).split("|")
)

DAYS = _w("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _w("January February March April May June July August September October November December")
PLANETS = _w("Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune")
NUMWORDS = _w("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty""")
JOBS = _w(
    "baker teacher doctor pilot farmer painter singer plumber gardener lawyer nurse writer chef tailor barber sailor"
)
HOBBIES = [
    "chess",
    "swimming",
    "painting",
    "cooking",
    "hiking",
    "reading",
    "fishing",
    "singing",
    "cycling",
    "gardening",
    "photography",
    "dancing",
    "running",
    "sailing",
    "pottery",
    "astronomy",
]
FOODS = _w(
    "pizza pasta soup salad rice bread cheese sushi curry tacos pancakes noodles cake cookies pie stew"
)
ITEMS = _w(
    "apples pears coins books pencils marbles eggs stamps cards cookies shells stones candles bottles tickets balloons"
)
PROJECTS = _w("""falcon orion comet delta ember galaxy harvest indigo jasper kestrel lotus meteor nebula onyx phoenix quartz
raven saturn tundra vortex willow zephyr aurora beacon cobalt drift echo fjord glacier horizon""")
TOPICS = [
    "quantum entanglement",
    "the stock market",
    "black holes",
    "the French Revolution",
    "photosynthesis",
    "tax law",
    "machine learning",
    "the human immune system",
    "medieval poetry",
    "plate tectonics",
    "game theory",
    "classical music",
    "modern art",
    "nuclear fusion",
    "ancient Egypt",
    "the theory of relativity",
    "compilers",
    "operating systems",
    "cryptography",
    "jazz",
    "philosophy",
    "football",
    "the history of Rome",
    "volcanoes",
    "DNA",
    "inflation",
    "climate change",
    "the brain",
    "databases",
    "neural networks",
    "chess openings",
    "cooking",
    "gardening",
    "the ocean",
    "electric cars",
    "space travel",
    "dinosaurs",
    "vaccines",
    "economics",
    "grammar",
    "politics",
    "religion",
    "love",
    "the weather",
    "programming languages",
    "linear algebra",
    "probability",
    "geometry",
    "biology",
    "chemistry",
    "physics",
    "history",
    "geography",
    "literature",
]
EXT = _w("txt md py c rs toml json log csv html sh yaml")
FILES = _w(
    "notes readme main config server todo data report index setup build test utils model parser list log draft"
)
DIRS = _w("/tmp /home/user /var/log /etc src docs tests data project build /opt/app lib")
