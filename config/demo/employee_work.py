"""What the employees of Fjordvik do: units, titles, tasks. Read by make_employees.py.

A task is what a citizen would ask for, in the words that the front line searches by.
"""

from dataclasses import dataclass

Work = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Unit:
    number: int
    name: str
    about: str
    work: tuple[Work, ...]


def unit(number: int, name: str, about: str, work: str) -> Unit:
    """`work` has one employee on each line: title: task, task."""
    lines = (one.strip().partition(": ") for one in work.strip().splitlines())
    return Unit(number, name, about, tuple((title, tuple(tasks.split(", "))) for title, _, tasks in lines))


UNITS = (
    unit(
        10,
        "Innbyggjarservice",
        "Førstelina: skranke, sentralbord og rettleiing",
        """
        Leiar innbyggjarservice: opningstider, klage på tenester, beredskapsvakt
        Rettleiar i innbyggjarservice: sentralbord, parkeringsløyve, datahjelp
        Rettleiar i innbyggjarservice: sentralbord, skjenkeløyve, bustøtte, datahjelp
        Dokumentsenterleiar: postliste, innsyn i saker, arkiv
        Arkivar: innsyn i saker, eldre byggjesaker, arkiv
        Arkivar: postliste, skanning
        Vaktmeister rådhuset: nøklar, møterom, varelevering, adgangskort
        Reinhaldar rådhuset: reinhald
        """,
    ),
    unit(
        11,
        "Stab",
        "Kommunedirektøren, politisk sekretariat og personal",
        """
        Kommunedirektør: leiing, beredskap
        Assisterande kommunedirektør: leiing, samfunnsplan
        Kommuneadvokat: juridiske spørsmål, innløysing av grunn
        Politisk sekretær: kommunestyremøte, formannskap, godtgjersle til folkevalde
        Kommunikasjonsrådgjevar: nettside, presse, sosiale medium
        Personalsjef: tilsetjing, arbeidsmiljø
        Personalrådgjevar: sjukefråvær, permisjon
        Lønskonsulent: løn, reiserekning
        Lønskonsulent: løn, pensjon
        Personvernombod: personvern, innsyn i eigne opplysningar
        Valansvarleg: val, førehandsrøysting
        Beredskapskoordinator: beredskap, eigenberedskap, tilfluktsrom
        """,
    ),
    unit(
        12,
        "Økonomi",
        "Budsjett, rekneskap, skatt og innkrevjing",
        """
        Økonomisjef: budsjett, økonomiplan
        Rekneskapsleiar: rekneskap, mva-kompensasjon
        Rekneskapskonsulent: faktura, e-faktura
        Rekneskapskonsulent: faktura, purring
        Konsulent eigedomsskatt: eigedomsskatt, klage på eigedomsskatt
        Konsulent innkrevjing: kommunale avgifter, avdragsordning
        Innkjøpsrådgjevar: innkjøp, anbod
        Controller: finansrapport, gjeldsforvalting
        """,
    ),
    unit(
        20,
        "Oppvekst",
        "Skule, barnehage og PP-teneste",
        """
        Kommunalsjef oppvekst: skule, barnehage
        Rådgjevar barnehage: barnehageplass, redusert foreldrebetaling, barnehageopptak
        Rådgjevar skule: skulestart, skulebyte, skuleskyss
        Konsulent oppvekst: SFO, barnehageplass, skuleskyss
        Rektor Fjordvik skule: Fjordvik skule
        Rektor Øyane oppvekstsenter: Øyane oppvekstsenter
        Rektor Innvik ungdomsskule: Innvik ungdomsskule, leksehjelp
        Styrar Solbakken barnehage: Solbakken barnehage
        Styrar Åsen barnehage: Åsen barnehage
        Leiar PP-tenesta: PP-tenesta, spesialpedagogisk hjelp
        PP-rådgjevar: PP-tenesta, logoped
        PP-rådgjevar: PP-tenesta, lese- og skrivevanskar
        Leiar vaksenopplæring: norskopplæring, vaksenopplæring, statsborgarprøve
        Lærar vaksenopplæring: norskopplæring
        """,
    ),
    unit(
        30,
        "Helse og meistring",
        "Heimeteneste, sjukeheim og tildeling",
        """
        Kommunalsjef helse og meistring: helse, omsorg
        Leiar tildelingskontoret: søknad om omsorgstenester, sjukeheimsplass
        Sakshandsamar tildelingskontoret: heimehjelp, støttekontakt, omsorgsstønad
        Sakshandsamar tildelingskontoret: omsorgsbustad, avlasting, BPA
        Leiar heimetenesta: heimesjukepleie, heimehjelp
        Sjukepleiar heimetenesta: heimesjukepleie
        Sjukepleiar heimetenesta: heimesjukepleie, sårstell
        Koordinator velferdsteknologi: tryggleiksalarm, elektronisk medisindispensar
        Leiar Fjordvik bu- og omsorgssenter: sjukeheim, besøkstid
        Ergoterapeut: hjelpemiddel, tilrettelegging av bustad
        Fysioterapeut: fysioterapi, rehabilitering
        Kreftkoordinator: kreftomsorg
        Demenskoordinator: demens, pårørandeskule, dagtilbod
        Frisklivskoordinator: frisklivssentral, fallførebygging, snus- og røykeslutt
        Kjøkkensjef: matombringing
        """,
    ),
    unit(
        40,
        "Teknisk drift",
        "Veg, vatn, avløp, renovasjon og bygg",
        """
        Leiar teknisk drift: veg, vatn og avløp
        Ingeniør vatn og avløp: vasslekkasje, påkopling, vassmålar
        Ingeniør vatn og avløp: avløp, tilbakeslag, slamtømming
        Driftsoperatør vassverk: vasskvalitet, vasslekkasje, stengd vatn
        Driftsoperatør reinseanlegg: avløp, lukt
        Vegingeniør: hol i vegen, gravemelding, avkøyrsle
        Vegmeister: brøyting, strøing, gatelys
        Konsulent renovasjon: renovasjon, bosdunk, slamtømming
        Byggforvaltar: kommunale bygg, leige av lokale
        Prosjektleiar bygg: byggjeprosjekt
        Vaktmeister skulane: skulebygg, gymsal
        Vaktmeister omsorgsbustadene: omsorgsbustad, snømåking
        Brannsjef: brannvern, bålbrenning, fyrverkeri
        Feiar: feiing, piper og eldstader
        Hamnesjef: hamn, båtplass, gjestehamn
        """,
    ),
    unit(
        41,
        "Plan og byggesak",
        "Byggesak, reguleringsplan, kart og oppmåling",
        """
        Leiar plan og byggesak: reguleringsplan, byggesøknader
        Byggesakshandsamar: byggesøknader, ferdigattest
        Byggesakshandsamar: byggesøknader, dispensasjon, garasje og tilbygg
        Byggesakshandsamar: ulovleg bygging, byggesøknader
        Arealplanleggjar: reguleringsplan, kommuneplan
        Arealplanleggjar: reguleringsplan, strandsone
        Oppmålingsingeniør: oppmåling, grensejustering, seksjonering
        Kartkonsulent: kart, situasjonskart, adresse og husnummer
        Miljørådgjevar: forureining, støy, framande artar
        """,
    ),
    unit(
        42,
        "Landbruk",
        "Landbruk, skog, vilt og utmark",
        """
        Landbrukssjef: produksjonstilskot, konsesjon
        Rådgjevar landbruk: produksjonstilskot, deling av landbrukseigedom, nydyrking
        Skogbrukssjef: skogfond, skogsveg
        Konsulent vilt og utmark: hjortejakt, fallvilt, motorferdsel i utmark
        """,
    ),
    unit(
        50,
        "Kultur",
        "Bibliotek, kulturskule, idrett og frivilligheit",
        """
        Kultursjef: kulturmidlar, tilskot til lag og organisasjonar
        Biblioteksjef: bibliotek, lån av bøker
        Bibliotekar: bibliotek, lesestund, meirope bibliotek
        Rektor kulturskulen: kulturskule
        Idrettskonsulent: spelemidlar, idrettshall, symjehall
        Ungdomskonsulent: ungdomsklubb, ungdomsråd, sommarjobb
        Frivilligkoordinator: frivilligsentral, besøksven
        """,
    ),
    unit(
        13,
        "IKT",
        "Drift og støtte",
        """
        IKT-leiar: IKT-drift, informasjonstryggleik
        IKT-konsulent: brukarstøtte, mobiltelefon
        IKT-konsulent: brukarstøtte, skule-PC
        Systemansvarleg: fagsystem, sak og arkiv
        Nettverksansvarleg: nettverk, dører og adgangskort, telefoni
        """,
    ),
    unit(
        21,
        "Barnevern",
        "Barnevernstenesta",
        """
        Barnevernsleiar: bekymringsmelding
        Barnevernskonsulent: bekymringsmelding, råd og rettleiing
        Barnevernskonsulent: hjelpetiltak
        Barnevernskonsulent: fosterheim, tilsyn
        Barnevernskonsulent: samvær, ettervern
        Familierettleiar: råd og rettleiing, foreldrekurs
        """,
    ),
    unit(
        31,
        "Helsestasjon",
        "Helsestasjon, jordmor og skulehelseteneste",
        """
        Leiar helsestasjonen: helsestasjon, vaksinasjon
        Helsesjukepleiar: helsestasjon, vaksinasjon
        Helsesjukepleiar: skulehelseteneste
        Helsesjukepleiar: helsestasjon for ungdom, reisevaksine
        Helsesjukepleiar: flyktninghelse, tuberkulosekontroll
        Jordmor: svangerskapskontroll
        Jordmor: svangerskapskontroll, barselbesøk
        Helsesekretær: timebestilling helsestasjon
        """,
    ),
    unit(
        32,
        "Psykisk helse",
        "Psykisk helse og rus",
        """
        Leiar psykisk helse og rus: psykisk helse, rus
        Psykiatrisk sjukepleiar: psykisk helse, samtale
        Psykiatrisk sjukepleiar: rask psykisk helsehjelp
        Kommunepsykolog: barn og unge, psykisk helse
        Ruskonsulent: rus, ettervern
        Miljøterapeut: butilbod, aktivitetssenter
        Miljøterapeut: aktivitetssenter
        """,
    ),
    unit(
        60,
        "NAV Fjordvik",
        "Den kommunale delen av NAV-kontoret",
        """
        NAV-leiar: økonomisk sosialhjelp
        Rettleiar NAV: økonomisk sosialhjelp, naudhjelp
        Rettleiar NAV: arbeidsavklaring, sjukmelding
        Rettleiar NAV: kvalifiseringsprogram, arbeidssøkjar
        Rettleiar NAV: ungdom utan arbeid, arbeidssøkjar
        Gjeldsrådgjevar: økonomi- og gjeldsrådgjeving, bustønad
        Bustadkonsulent: startlån, kommunal bustad, bustøtte
        Flyktningkonsulent: busetjing av flyktningar, introduksjonsprogram
        Flyktningkonsulent: introduksjonsprogram, kollektivt vern for ukrainarar
        Programrådgjevar: introduksjonsprogram, praksisplass
        """,
    ),
    unit(
        33,
        "Legekontoret",
        "Fastlegar, legevakt og laboratorium",
        """
        Kommuneoverlege: smittevern, helseattest for skjenkestader, vasskvalitet
        Fastlege: fastlege
        Fastlege: fastlege
        Fastlege: fastlege, sjukeheimslege
        Turnuslege: fastlege
        Leiar legekontoret: timebestilling legekontoret
        Helsesekretær: timebestilling legekontoret, resept
        Helsesekretær: timebestilling legekontoret, blodprøve
        Bioingeniør: blodprøve, INR
        Sjukepleiar legevakt: legevakt
        """,
    ),
    unit(
        43,
        "Eigedom og bustad",
        "Kommunale bustader og tomter",
        """
        Leiar eigedom: sal av tomt, festetomt
        Bustadforvaltar: kommunal bustad, husleige
        Eigedomskonsulent: tomtesal, grunneigar
        Prosjektmedarbeidar: radonmåling, energimerking
        """,
    ),
    unit(
        51,
        "Næring og reiseliv",
        "Næringsutvikling, løyve og reiseliv",
        """
        Næringssjef: næringsfond, etablerarrettleiing
        Konsulent løyve: skjenkeløyve, serveringsløyve, torgplass, parkeringsløyve for forflyttingshemma
        Seniorrådgjevar med særskilt ansvar for berekraftig reiselivsutvikling, interkommunalt samarbeid, \
nasjonalparkar, verdsarv og cruiseanløp: reiseliv, cruiseanløp, bubilparkering
        Reiselivskonsulent: turistinformasjon, turløyper
        """,
    ),
    unit(
        52,
        "Kyrkjeleg fellesråd",
        "Kyrkjegardar og kyrkjer, samlokalisert i rådhuset",
        """
        Kyrkjeverje: kyrkjegard, gravferd
        Kyrkjegardsarbeidar: kyrkjegard, gravstell
        Kyrkjelydssekretær: dåp, vigsel, gravferd
        """,
    ),
)

GROUPS = {
    "vert-skranke": (
        "Innbyggjarservice: skranke og sentralbord",
        ("Leiar innbyggjarservice", "Rettleiar i innbyggjarservice"),
    ),
    "vert-vaktmeister": (
        "Dører og bygg",
        ("Vaktmeister rådhuset", "Vaktmeister skulane", "Vaktmeister omsorgsbustadene", "Byggforvaltar"),
    ),
    "vert-ikt": ("Drift av Kommunevert", ("IKT-leiar", "Nettverksansvarleg", "Systemansvarleg")),
}
