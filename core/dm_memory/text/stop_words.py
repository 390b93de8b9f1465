"""By language: the Snowball stemmer, and the words that carry no meaning of their own.

Why the lists are our own: ``stop-words`` and ``stopwordsiso`` have 1,298 to 1,333 English words, "novel", "zero" and
"successfully" among them, which a marketer asks for. These have function words and the words questions are made of.
"""

# ruff: noqa: RUF001  # Russian words have letters that look like Latin ones

from __future__ import annotations

__all__ = ["STEMMERS", "STOP_WORDS"]

STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
"""The Snowball algorithm of each language; the words of other languages are indexed as they are."""

STOP_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "en": """
a about above after again against all also am an and any anyone anything are aren as at be because been before being
below between both but by can cannot could couldn did didn do does doesn doing don done down during each ever few for
from further get got had hadn has hasn have haven having he her here hers herself him himself his how i if in into is
isn it its itself just know ll let many may me might mine more most much must my myself no nor not now of off on once
only or other our ours ourselves out over own please quite rather re really said same say says shall she should
shouldn show so some such tell than that the their theirs them themselves then there these they this those through to
too under until up us ve very was wasn we were weren what whatever when where which while who whom whose why will with
won would wouldn yet you your yours yourself yourselves
""",
        "de": """
aber alle allem allen aller alles als also am an ander andere anderen anderer anderes auch auf aus bei beim bin bis
bist bitte da damit dann das dass dein deine dem den denn der deren des dessen dich die dies diese diesem diesen
dieser dieses dir doch dort du durch ein eine einem einen einer eines einige einigen er es etwas euch euer eure für
gab gegen gehabt gewesen gibt ging habe haben hat hatte hatten hattest hier hin hinter ich ihm ihn ihnen ihr ihre
ihrem ihren ihrer im in indem ins ist ja jede jedem jeden jeder jedes jene jenem jenen jener jenes kann kannst kein
keine keinem keinen keiner können könnte machen macht man manche mein meine meinem meinen meiner mich mir mit muss
musste müssen nach nicht nichts noch nun nur ob oder ohne sagt sehr sein seine seinem seinen seiner seit selbst sich
sie sind so solche soll sollen sollte sollten sondern sonst sowie über um und uns unser unsere unserem unseren unserer
unter viel viele vielen vom von vor wann war waren warst warum was weg weil welche welchem welchen welcher welches wem
wen wenn wer werde werden wessen wie wieder wieso will wir wird wirst wo wofür woher wohin womit worauf worum worüber
wollen wollte wurde wurden würde würden zu zum zur zwar zwischen
""",
        "fr": """
a à afin ai ait alors après as au aucun aucune aussi autre autres aux avaient avais avait avant avec avez avoir avons
bien c ça car ce ceci cela celle celles celui ces cet cette ceux chaque chez combien comme comment contre d dans de
depuis des dire dit doit doivent donc dont du elle elles en encore entre es est et étaient était été être eu eux fait
faire faut furent fut ici il ils j je jusqu l la là laquelle le lequel les lesquelles lesquels leur leurs lors lorsque
lui m ma mais me même mêmes mes moi moins mon n ne ni nos notre nous on ont ou où par parce pas pendant peu peut
peuvent plus plutôt pour pourquoi pouvons puis qu quand que quel quelle quelles quels quelqu qui quoi s sa sans se
sera ses si soit son sont sous suis sur t ta te tes toi ton tous tout toute toutes très tu un une va vers veut voici
voilà vont vos votre vous y
""",
        "es": """
a al algo algún alguna algunas alguno algunos ante antes aquel aquella aquellas aquellos aquí así aún aunque bajo bien
cada casi como cómo con contra cual cuál cuales cuáles cuando cuándo cuanta cuánta cuantas cuántas cuanto cuánto
cuantos cuántos de debe deben debemos del desde dice donde dónde durante e el él ella ellas ellos en entonces entre
era eran es esa esas ese eso esos esta está estaba estamos están estar estas éstas este éste esto estos éstos fue
fueron ha había habían han hacer hace hacemos hacia hasta hay he hemos hizo la las le les lo los más me mi mí mis
mucho muchos muy nada ni no nos nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros para pero poco
por porque porqué pues puede pueden podemos qué que quien quién quienes quiénes se sea según ser si sí siempre sin
sobre solo sólo somos son su sus también tampoco tan tanto te tengo tenemos tener tiene tienen toda todas todo todos
tras tu tú tus un una unas uno unos va vamos y ya yo
""",
        "it": """
a abbiamo ad agli ai al alla alle allo altra altre altri altro anche ancora avere aveva c che chi ci cioè come con
contro cosa così cui da dagli dai dal dalla dalle dallo degli dei del dell della delle dello dentro deve devono di
dice dopo dove dovremmo e è ed era erano essere fa fare fatto fino fra fu gli ha hai hanno ho i il in invece io l la
le lei li lo loro lui ma mentre mi mia mie miei mio molta molti molto ne nei nel nella nelle nello nessun no noi non
nostra nostre nostri nostro o ogni oppure per perché però più poco poi possiamo prima può qual quale quali qualche
quando quanta quante quanti quanto quasi quel quella quelle quelli quello questa queste questi questo qui quindi sarà
se sei senza si sia siamo sono sopra sotto sta su sua sue sugli sui sul sulla sulle suo suoi tra tu tua tue tutta
tutte tutti tutto un una uno va vi voi
""",
        "pt": """
a à ainda algo algum alguma algumas alguns ante antes ao aos apenas aquela aquelas aquele aqueles aquilo as às até bem
cada com como contra cuja cujo da das de dela delas dele deles depois desde deve devem devemos diz do dos durante
e é ela elas ele eles em enquanto entre era eram essa essas esse esses esta está estamos estão estar estas estava este
estes eu faz fazemos fazer foi foram há isso isto já lhe mais mas me mesmo meu meus minha minhas muita muito muitos na
nas nem no nos nós nossa nossas nosso nossos num numa o onde os ou outra outras outro outros para pela pelas pelo
pelos pode podem podemos por porque porquê pouco pra qual quais qualquer quando quanta quantas quanto quantos que quê
quem se seja sem sempre ser será seu seus são si sob sobre sua suas só também tanto tão te tem têm temos ter teve
tinha toda todas todo todos tu tudo um uma umas uns vai você vocês
""",
        "nl": """
aan af al alle alleen alles als ander andere anders bij daar dan dat de deze die dit doch doen doet door dus een eens
elk elke en er geen geweest gaan gaat haar had hadden heb hebben heeft hem het hier hij hoe hoeveel hun iemand iets ik
in is ja je jij jou jouw jullie kan kon kunnen maar me meer men met mij mijn moest moet moeten na naar niet niets nog
nu of om omdat onder ons onze ook op over reeds te tegen toch toen tot u uit uw van veel voor waar waarom waarvoor
wanneer want waren was wat we wel welk welke werd werden wie wij wil worden wordt zal ze zei zeker zelf zich zij zijn
zo zonder zou zouden
""",
        "sv": """
alla allt att av bara blev bli blir de dem den denna deras dess dessa det detta dig din dina ditt du där då efter ej
eller en er era ert ett från för ha hade han hans har henne hennes hon honom hur här i icke ingen inom inte jag ju kan
kunde man med mellan men mig min mina mitt mot mycket måste ni nu när någon något några och om oss på samma sedan sig
sin sina ska skulle som så sådan till under upp ut utan vad var vara varför varit varje vars vart vem vi vid vilka
vilken vilket vår våra vårt är
""",
        "da": """
ad af alle alt anden at blev blive bliver da de dem den denne der deres det dette dig din disse dog du efter eller en
er et for fra få gør ham han hans har havde have hende hendes her hos hun hvad hvem hvilke hvilken hvor hvordan
hvorfor hvornår i ikke ind jeg jer kan kunne man mange med meget men mig min mine mit mod ned noget nogle nu når og
også om op os over på selv sig sin sine sit skal skulle som sådan thi til ud under var ved vi vil ville vor være været
""",
        "no": """
alle at av bare begge ble bli blir da de deg dem den denne der dere deres det dette di din disse du eller en er et
etter for fordi fra før ha hadde han hans har hennes her hun hva hvem hvilke hvilken hvor hvordan hvorfor i ikke ingen
inn jeg kan kunne man mange med meg mellom men min mine mitt mot mye nå når noe noen og også om opp oss over på seg
selv sin sine sitt skal skulle som så til under ut var ved vi vil ville vår være vært
""",
        "ar": """
أكثر أقل أن أنا أنت أو أي أين إذا إلى إن التي الذي الذين بعد بعض بين تلك ثم جدا حتى ذلك عن عند عندما على غير فقط في قبل
قد كان كانت كل كم كما كيف لا لدينا لقد لكن لم لماذا لن لنا لو ما ماذا متى مع من منذ نحن هذا هذه هل هم هنا هناك هو هي
يكون
""",
        "ru": """
а без бы был была были было быть в вам вас весь во вот все всё вы где да для до его ее её если есть еще ещё же за и из
или им их к как какая какие какой когда кого которые который кто куда ли мне может мы на над надо нам нас наш наша
наши не него нее нет ни них но о об она они оно от очень по под почему при с сколько со так также там тем то того тоже
только том ты у уже чего чем что чтобы эта эти это этого этой этот я
""",
    }.items()
}
"""Words that count nothing in a question. What Japanese and Chinese ask with are characters, see ``text.words``."""
