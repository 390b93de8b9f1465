"""Hand-made pairs of an old and a new text in one list: whether the new one is an edit of the old one.

Every second pair (the first, the third, ...) chose the thresholds of ``text.likeness``; the others judge them.
"""

from __future__ import annotations

EDIT, NEW = True, False

PAIRS: tuple[tuple[bool, str, str], ...] = (
    # English learnings: corrected figures
    (EDIT, "CTR rose 12 % after the subject line named the farm.", "CTR rose 14 % after the subject line named the farm."),
    (EDIT, "Two equal gifts are shared 11 percent more often.", "Two equal gifts are shared 9.5 percent more often."),
    (EDIT, "Podcast listeners signed up at 13 euros each.", "Podcast listeners signed up at €15 each."),
    (EDIT, "Recipe cards at lake kiosks sold 3,100 bottles.", "Recipe cards at lake kiosks sold 3,400 bottles in August."),
    (NEW, "Posts at 9 get 30 % more clicks.", "Posts at 18 get 12 % more clicks."),
    (NEW, "Messages at 14:00 beat those at 8:00.", "Messages at 18:00 beat those at 8:00."),
    (NEW, "Week 1: open rate 41 %, two complaints.", "Week 2: open rate 43 %, two complaints."),
    (NEW, "In Q1 the offer converted best on weekdays.", "In Q2 the offer converted best on weekdays."),
    (NEW, "Variant A with the blue button won by 6 %.", "Variant B with the blue button won by 6 %."),
    (NEW, "A 3-mail welcome series is enough.", "A 5-mail welcome series is enough."),
    (NEW, "Budget of 2025 was spent by October.", "Budget of 2026 was spent by October."),
    (NEW, "Videos raise saves by 12 %.", "Product videos raise saves by 30 %."),
    # typos, inflections, punctuation
    (EDIT, "Customers recieve the invitation within an hour.", "Customers receive the invitation within an hour."),
    (EDIT, "Tasting notes sell beter in the words of customers", "Tasting notes sell better in the words of customers."),
    (EDIT, "The subject lines with a question gets more replies.", "Subject lines with questions get more replies."),
    (EDIT, "Save on Instagram predicted signups better than like.", "Saves on Instagram predicted signups better than likes."),
    (NEW, "Men answer the survey more often on mobile.", "Women answer the survey more often on mobile."),
    (NEW, "Increase the budget for brand search in autumn.", "Decrease the budget for brand search in autumn."),
    (NEW, "Morning mails win on opens.", "Evening mails win on opens."),
    (NEW, "Inbound leads close within two weeks.", "Outbound leads close within two weeks."),
    # added context, cut context
    (
        EDIT,
        "Emoji in subject lines raise opens.",
        "Emoji in subject lines raise opens. Tested twice with 40,000 recipients; the effect fades after the third mail.",
    ),
    (
        EDIT,
        "Sunday readers spent twice as long on the page.",
        "In both harvest seasons: Sunday readers spent twice as long on the page.",
    ),
    (
        EDIT,
        "A loaned grinder is worth more to a small place than a month of free beans. We saw that in nine of ten visits.",
        "A loaned grinder is worth more to a small place than a month of free beans.",
    ),
    (EDIT, "Short videos lift saves on Instagram.", "Short videos with captions lift saves on Instagram."),
    (
        NEW,
        "Creator posts went up in the rainiest week.",
        "Posters went up late, and the creator was paid in the rainiest week although her posts were cancelled.",
    ),
    (NEW, "Test earlier.", "Test later."),
    (
        NEW,
        "Free shipping lifts conversion.",
        "Free returns lift repeat purchases and lower the number of calls to the support team.",
    ),
    (NEW, "Use fewer fields in the form.", "Use fewer stock photos."),
    # rewording of the end
    (
        EDIT,
        "A story in instalments gives people a reason to open the next e-mail.",
        "A story in instalments gives people a reason to come back for the next one.",
    ),
    (
        EDIT,
        "Opening the subscription only when the first bags arrived created an honest deadline.",
        "Opening the subscription only when the first bags arrived created a deadline nobody doubted.",
    ),
    (
        EDIT,
        "Saves predicted signups two weeks later better than likes did.",
        "Saves predicted signups two weeks later better than likes or comments ever did.",
    ),
    (
        EDIT,
        "The landing page explained processing methods before it said what the coffee tastes like.",
        "The landing page explained processing methods before it got to the taste.",
    ),
    (NEW, "Short subject lines lift open rates, especially on mobile.", "Short subject lines lift open rates, especially on desktop."),
    (NEW, "Carousel posts drive saves among students.", "Carousel posts drive comments among students."),
    (NEW, "Discount codes work for new customers in spring.", "Discount codes work for loyal customers in autumn."),
    (NEW, "Customer quotes lift the conversion of the pricing page.", "Customer logos lift the conversion of the pricing page."),
    # channels, markets, campaigns, names
    (NEW, "LinkedIn ads beat the benchmark by 20 %.", "Facebook ads beat the benchmark by 20 %."),
    (NEW, "Move 3,000 euros from Instagram to podcasts.", "Move 3,000 euros from Instagram to TikTok."),
    (NEW, "Reminders by SMS three days before the event fill the room.", "Reminders by e-mail three days before the event fill the room."),
    (EDIT, "Facebook reach fell after the change of format.", "Facebook reach fell by half after the change of format."),
    (NEW, "In Germany buyers ask for invoices.", "In France buyers ask for invoices."),
    (NEW, "The US store needs faster delivery before Christmas.", "The UK store needs faster delivery before Christmas."),
    (NEW, "Spring Sale sold out nine days early because boxes were late.", "Summer Sale sold out nine days early because boxes were late."),
    (NEW, "The Kyoto pop-up brought 900 signups in two weeks.", "The Osaka pop-up brought 900 signups in two weeks."),
    (NEW, "Atlas cut its prices in May.", "Blue Bottle cut its prices in May."),
    (NEW, "Anna approves every post before noon.", "Ben approves every post before noon."),
    (NEW, "Mails sent before payday convert worse.", "Mails sent after payday convert worse."),
    (NEW, "Subject lines with emoji win on weekends.", "Subject lines without emoji win on weekends."),
    # negation
    (EDIT, "Countdown timers work in the welcome mail.", "Countdown timers do not work in the welcome mail."),
    (EDIT, "Discounts are needed to win back lapsed subscribers.", "Discounts aren't needed to win back lapsed subscribers."),
    (NEW, "Countdown timers work in the welcome mail.", "Testimonials do not work in the welcome mail."),
    (NEW, "Carousels beat videos on weekends in the spring test.", "Videos beat carousels on weekends in the spring test."),
    # decisions
    (
        EDIT,
        "Send the harvest diary on Sunday mornings.\nRationale: Sunday readers spent twice as long on the page.",
        "Send the harvest diary on Sunday mornings.\nRationale: Sunday readers spent twice as long on the page, and fewer unsubscribed.",
    ),
    (
        EDIT,
        "Keep the offer open to former subscribers; a fifth of the invited friends were customers once.",
        "Keep the offer open to former subscribers: a fifth of invited friends were customers before.",
    ),
    (
        EDIT,
        "Stop the outdoor posters and put 2,500 euros into weather-triggered ads.",
        "Stop the outdoor posters and put 3,500 euros into weather-triggered ads.",
    ),
    (EDIT, "Pause the campaign until stock is back.", "Pause the campaign until the stock is back in March."),
    (NEW, "Raise the budget for retargeting by 2,500 euros.", "Raise the budget for prospecting by 4,000 euros."),
    (NEW, "Approve the spring visuals.", "Approve the summer visuals."),
    (NEW, "Launch on 12 May.", "Launch in Austria on 19 May."),
    (NEW, "Pause prospecting in July.", "Pause prospecting in August."),
    # guideline sections
    (
        EDIT,
        "Voice > Tone\n\nWarm, direct, never ironic. One idea per sentence. We say 'you', not 'the customer'.",
        "Voice > How we sound\n\nWarm, direct, never ironic. One idea per sentence. We say 'you', not 'the customer'.",
    ),
    (
        EDIT,
        "Headlines\n\nSentence case, at most eight words, no exclamation marks. The benefit comes first.",
        "Titles and headlines\n\nSentence case, at most nine words, no exclamation marks. The benefit comes first, then the product.",
    ),
    (
        EDIT,
        "Imagery\n\nKitchen tables in morning light, two cups, no people posing. No stock photos.",
        "Photography\n\nKitchen tables in morning light, two cups, no people posing. Never use stock photos.",
    ),
    (
        EDIT,
        "Claims\n\nHealth claims need a source and the approval of the legal team. Words such as best or only are not used.",
        "Claims we make\n\nHealth claims need a source and the approval of legal. Words such as best, first or only are not used.",
    ),
    (
        NEW,
        "Channel styles > Instagram\n\nAt most three hashtags, the farm named in every caption, captions below 120 words.",
        "Channel styles > TikTok\n\nAt most three hashtags, the farm named in every caption, captions below 120 words.",
    ),
    (NEW, "Buttons\n\nUse sentence case.", "Table headers\n\nUse sentence case."),
    (
        NEW,
        "Tone for students\n\nShort sentences, first names, one joke allowed.",
        "Tone for purchasers\n\nOne figure with its source, no emoji, no exclamation marks.",
    ),
    (
        NEW,
        "Numbers\n\nWrite numbers below ten as words and use a comma for thousands.",
        "Dates\n\nWrite dates with the month as a word and use no comma before the year.",
    ),
    # German
    (EDIT, "Die Öffnungsrate stieg um 12 %, seit der Hof im Betreff steht.", "Die Öffnungsrate stieg um 15 %, seit der Hof im Betreff steht."),
    (EDIT, "Kurze Betrefzeilen werden öfter geöffnet.", "Kurze Betreffzeilen werden öfter geöffnet."),
    (
        EDIT,
        "Rabatte ziehen nur Schnäppchenjäger an.",
        "Rabatte ziehen nur Schnäppchenjäger an. Nach drei Monaten war nur jeder Zehnte noch Kunde.",
    ),
    (EDIT, "Countdowns wirken in der Willkommensmail.", "Countdowns wirken in der Willkommensmail nicht."),
    (NEW, "Kurze Betreffzeilen werden öfter geöffnet.", "Lange Betreffzeilen werden öfter geöffnet."),
    (NEW, "Plakate brachten in Wien die meisten Besucher.", "Plakate brachten in Graz die meisten Besucher."),
    (NEW, "In KW 12 lief der Newsletter besser als die Anzeigen.", "In KW 13 lief der Newsletter besser als die Anzeigen."),
    (NEW, "Auf Instagram wirken Gesichter besser als Produkte.", "Auf LinkedIn wirken Gesichter besser als Produkte."),
    (NEW, "Stammkunden reagieren auf Anrufe am Dienstag.", "Neukunden reagieren auf Anrufe am Dienstag."),
    (NEW, "Mit Gutschein kaufen mehr Kunden ein zweites Mal.", "Ohne Gutschein kaufen mehr Kunden ein zweites Mal."),
    (
        EDIT,
        "Ansprache\n\nWir duzen, bleiben sachlich und verzichten auf Superlative. Jeder Text nennt einen Menschen.",
        "Tonalität\n\nWir duzen, bleiben sachlich und verzichten auf Superlative. Jeder Text nennt einen Menschen vom Hof.",
    ),
    (
        EDIT,
        "Die Einladung geht innerhalb einer Stunde nach der Lieferung hinaus oder gar nicht.",
        "Die Einladung geht innerhalb einer Stunde nach der Lieferung hinaus, sonst verpufft sie.",
    ),
    # French
    (EDIT, "Le taux de clic a augmenté de 12 % avec le nom de la ferme.", "Le taux de clic a augmenté de 14 % avec le nom de la ferme."),
    (EDIT, "Les dégustations en librarie ont rempli 18 soirées.", "Les dégustations en librairie ont rempli 18 soirées."),
    (
        EDIT,
        "Le point relais est choisi par 71 pour cent des acheteurs.",
        "Le point relais est choisi par 71 pour cent des acheteurs ; la livraison à domicile rassure hors des villes.",
    ),
    (EDIT, "Les vidéos courtes marchent auprès des étudiants.", "Les vidéos courtes ne marchent pas auprès des étudiants."),
    (NEW, "Les vidéos courtes marchent auprès des étudiants.", "Les vidéos courtes marchent auprès des retraités."),
    (NEW, "La newsletter du mardi est la plus ouverte.", "La newsletter du jeudi est la plus ouverte."),
    (NEW, "Semaine 1 : 41 % d'ouverture, deux plaintes.", "Semaine 2 : 43 % d'ouverture, deux plaintes."),
    (NEW, "Sans promotion, le panier moyen monte.", "Avec promotion, le panier moyen monte."),
    (NEW, "Les soirées à Lyon ont coûté 90 euros chacune.", "Les soirées à Lille ont coûté 90 euros chacune."),
    (NEW, "Two equal gifts are shared more often than one discount.", "Deux cadeaux égaux sont plus partagés qu'une remise."),
    # Japanese
    (EDIT, "件名に農園名を入れると開封率が12%上がった。", "件名に農園名を入れると開封率が14%上がった。"),
    (EDIT, "行列ができた日は試飲を減らしたほうが売上が伸びた。", "行列ができた日は、試飲を減らした方が売上が伸びた。"),
    (
        EDIT,
        "抹茶を飲む習慣のある客は、浅煎りの豆を最も多く買った。",
        "抹茶を飲む習慣のある客は、浅煎りの豆を最も多く買った。京都店で二週間確かめた。",
    ),
    (EDIT, "カウントダウンは歓迎メールで効果がある。", "カウントダウンは歓迎メールで効果がない。"),
    (NEW, "インスタグラムの動画は保存数を増やす。", "メールの動画は保存数を増やす。"),
    (NEW, "新規顧客には短い件名が効果的だった。", "既存顧客には短い件名が効果的だった。"),
    (NEW, "3月の割引は売上を伸ばした。", "4月の割引は売上を伸ばした。"),
    (NEW, "女性は夜の配信をよく開く。", "男性は夜の配信をよく開く。"),
    (NEW, "Send the harvest diary on Sunday mornings.", "収穫日記は日曜の朝に送る。"),
    (NEW, "短い動画は写真より保存される。", "長い記事は写真より共有される。"),
    # Spanish, Chinese, Korean, Russian
    (EDIT, "Las historias por entregas aumentan la tasa de apertura un 12 %.", "Las historias por entregas aumentan la tasa de apertura un 15 %."),
    (NEW, "Las historias por entregas gustan a los jóvenes.", "Las historias por entregas gustan a los mayores."),
    (EDIT, "短视频在周末的点击率更高。", "短视频在周末的点击率更高，测试了两次。"),
    (NEW, "短视频在周末的点击率更高。", "短视频在工作日的点击率更高。"),
    (EDIT, "짧은 제목이 모바일에서 열람률을 12% 높였다.", "짧은 제목이 모바일에서 열람률을 14% 높였다."),
    (NEW, "짧은 제목이 모바일에서 열람률을 높였다.", "긴 제목이 모바일에서 열람률을 높였다."),
    (EDIT, "Короткие темы писем открывают чаще.", "Короткие темы писем открывают чаще, особенно утром."),
    (NEW, "Короткие темы писем открывают чаще.", "Длинные темы писем открывают чаще."),
)
"""(edit or new, old, new)."""
